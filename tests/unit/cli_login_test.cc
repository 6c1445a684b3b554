#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/crypto/pki.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"
#include "tests/unit/cli_fixture.h"

namespace slipway::cli {
namespace {

using Catch::Contains;
using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;

constexpr char kPassword[] = "correct horse battery";

// A farm with an admin, and a person's machine that knows nothing yet.
class LoginFixture : public Fixture {
 public:
  LoginFixture() { farm.access.Add("wang", kPassword); }

  CliRun::Place Place() const {
    CliRun::Place place;
    place.environment = {{"XDG_CONFIG_HOME", home.path()}};
    return place;
  }
  std::unique_ptr<CliRun> Run(std::vector<std::string> arguments) {
    return Run(std::move(arguments), Place());
  }
  std::unique_ptr<CliRun> Run(std::vector<std::string> arguments, CliRun::Place place) {
    auto run = std::make_unique<CliRun>(std::move(arguments), std::move(place));
    run->Wait();
    return run;
  }
  std::vector<std::string> LoginWords() const {
    return {"login",     "--server", controller.address(), "--ca",      controller.ca_file(),
            "--account", "wang",     "--password-stdin",   "--context", "home"};
  }
  // As "home"; the access token lasts that long.
  void LogIn(int access_seconds = 300) {
    farm.access.access_seconds = access_seconds;
    auto place = Place();
    place.in = std::string(kPassword) + "\n";
    const auto run = Run(LoginWords(), place);
    INFO(run->err.text());
    REQUIRE(run->Wait() == 0);
  }
  std::string File(const std::string& context = "home") const {
    return home / ("slipway/contexts/" + context + ".yaml");
  }

  TempDir home;
};

int ModeOf(const std::string& path) {
  struct stat facts {};
  REQUIRE(stat(path.c_str(), &facts) == 0);
  return static_cast<int>(facts.st_mode & 07777);
}

TEST_CASE("slipway login: tokens and CA are kept in a file that nobody else can read",
          "[unit][cli]") {
  LoginFixture f;
  f.LogIn();
  CHECK(ModeOf(f.File()) == 0600);
  CHECK(ModeOf(f.home / "slipway/contexts") == 0700);
  CHECK_THAT(ReadFile(f.File()), Contains("access-1") && Contains("refresh-1") &&
                                     Contains(ReadFile(f.controller.ca_file()).substr(30, 60)) &&
                                     !Contains(kPassword));
  REQUIRE(f.farm.access.login_requests.size() == 1);
  CHECK_THAT(f.farm.access.login_requests[0].client(), Contains("slipway "));
  // From now on nothing else is needed.
  const auto tasks = f.Run({"tasks"});
  CHECK(tasks->Wait() == 0);
  CHECK_THAT(tasks->out.text(), Contains(kBuild));
  const auto who = f.Run({"whoami"});
  CHECK_THAT(who->out.text(), Contains("wang") && Contains("admin") && Contains("home"));

  chmod(f.File().c_str(), 0644);
  const auto open = f.Run({"tasks"});
  CHECK(open->Wait() == 2);
  CHECK_THAT(open->err.text(), Contains("others may use it") && Contains("chmod 600"));
}

TEST_CASE("slipway login: asks for what it is not told, the password without echo", "[unit][cli]") {
  LoginFixture f;
  auto place = f.Place();
  place.answers = {"wang", kPassword};
  const auto run = f.Run(
      {"login", "--server", f.controller.address(), "--ca", f.controller.ca_file(), "--lang", "zh"},
      place);
  INFO(run->err.text());
  CHECK(run->Wait() == 0);
  CHECK(run->questions() == std::vector<std::string>{"账号：", "secret: 密码："});
  CHECK_THAT(run->out.text(), Contains("已以 wang 登录") && !Contains(kPassword));
  CHECK_FALSE(run->err.Has(kPassword));
  // The context has the name of the host.
  CHECK(std::filesystem::exists(f.File("127.0.0.1")));

  place.answers = {"", kPassword};
  const auto again = f.Run({"login"}, place);
  CHECK(again->Wait() == 0);
  CHECK(again->questions().front() == "Account [wang]: ");

  const auto nobody = f.Run({"login"});
  CHECK(nobody->Wait() == 2);
  CHECK_THAT(nobody->err.text(), Contains("--password-stdin"));
}

TEST_CASE("slipway login: a password is never a word of the command line", "[unit][cli]") {
  LoginFixture f;
  auto words = f.LoginWords();
  words.insert(words.end(), {"--password", kPassword});
  const auto run = f.Run(words);
  CHECK(run->Wait() == 2);
  CHECK(f.farm.access.login_requests.empty());
}

TEST_CASE("slipway login: a wrong password is exit 5 and keeps nothing", "[unit][cli]") {
  LoginFixture f;
  auto place = f.Place();
  place.in = "wrong\n";
  const auto run = f.Run(f.LoginWords(), place);
  CHECK(run->Wait() == 5);
  CHECK_THAT(run->err.text(), Contains("wrong password"));
  CHECK_FALSE(std::filesystem::exists(f.File()));
}

TEST_CASE("slipway login: without a CA file the fingerprint decides", "[unit][cli]") {
  LoginFixture f;
  const auto facts = crypto::ReadCertificate(ReadFile(f.controller.ca_file()));
  REQUIRE_OK(facts);
  const std::string fingerprint = facts->fingerprint.ToString();
  const std::vector<std::string> words = {"login", "--server", f.controller.address(), "--account",
                                          "wang"};
  auto place = f.Place();
  place.answers = {"y", kPassword};
  const auto yes = f.Run(words, place);
  CHECK(yes->Wait() == 0);
  CHECK_THAT(yes->err.text(), Contains(fingerprint));
  CHECK_THAT(ReadFile(f.File("127.0.0.1")), Contains("BEGIN CERTIFICATE"));

  const LoginFixture other;
  place = other.Place();
  place.answers = {"n", kPassword};
  const auto no = f.Run(words, place);
  CHECK(no->Wait() == 3);
  CHECK(no->questions().size() == 1);

  auto scripted = f.LoginWords();
  scripted.erase(scripted.begin() + 3, scripted.begin() + 5);  // --ca FILE
  place = other.Place();
  place.in = std::string(kPassword) + "\n";
  const auto unknown = f.Run(scripted, place);
  CHECK(unknown->Wait() == 2);
  CHECK_THAT(unknown->err.text(), Contains("--ca-fingerprint"));
  scripted.insert(scripted.end(), {"--ca-fingerprint", fingerprint});
  CHECK(f.Run(scripted, place)->Wait() == 0);
  scripted.back() = "sha256:" + std::string(64, 'a');
  const auto wrong = f.Run(scripted, place);
  CHECK(wrong->Wait() == 3);
  CHECK_THAT(wrong->err.text(), Contains("it was told nothing"));
}

TEST_CASE("slipway: an access token is replaced before it ends, once", "[unit][cli]") {
  LoginFixture f;
  f.LogIn(/*access_seconds=*/5);  // less than a call may take
  f.farm.access.access_seconds = 300;
  CHECK(f.Run({"tasks"})->Wait() == 0);
  CHECK(f.farm.access.refreshes == 1);
  CHECK_THAT(ReadFile(f.File()), Contains("refresh-2") && !Contains("refresh-1"));
  CHECK(ModeOf(f.File()) == 0600);
  CHECK(f.Run({"tasks"})->Wait() == 0);
  CHECK(f.farm.access.refreshes == 1);
}

TEST_CASE("slipway: a token that the controller no longer takes is replaced and the call repeated",
          "[unit][cli]") {
  LoginFixture f;
  f.LogIn();
  f.farm.access.logins.begin()->second.access = "forgotten";
  CHECK(f.Run({"tasks"})->Wait() == 0);
  CHECK(f.farm.access.refreshes == 1);
  f.farm.access.logins.begin()->second.access = "forgotten";
  f.Begin(kBuild);
  f.End(kBuild, v1::TASK_STATE_SUCCEEDED);
  const auto logs = f.Run({"logs", kBuild});
  INFO(logs->err.text());
  CHECK(logs->Wait() == 0);
  CHECK(f.farm.access.refreshes == 2);
}

TEST_CASE("slipway: commands at once spend a refresh token once", "[unit][cli]") {
  LoginFixture f;
  f.LogIn(/*access_seconds=*/5);
  f.farm.access.access_seconds = 300;
  std::vector<std::unique_ptr<CliRun>> runs;
  for (int i = 0; i < 8; ++i) {
    runs.push_back(std::make_unique<CliRun>(std::vector<std::string>{"tasks"}, f.Place()));
  }
  for (const auto& run : runs) CHECK(run->Wait() == 0);
  CHECK(f.farm.access.refreshes == 1);
  CHECK(f.farm.access.thefts == 0);
}

TEST_CASE("slipway: a refresh whose answer is lost is asked for again", "[unit][cli]") {
  LoginFixture f;
  f.LogIn(/*access_seconds=*/5);
  f.farm.access.lost_refreshes = 1;
  f.farm.access.access_seconds = 300;
  CHECK(f.Run({"tasks"})->Wait() == 0);
  CHECK(f.farm.access.refreshes == 1);
}

TEST_CASE("slipway: a login that has ended is exit 5 and says how to log in", "[unit][cli]") {
  LoginFixture f;
  f.LogIn();
  f.farm.access.logins.clear();
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"tasks"}, {"logs", kBuild}, {"follow", "run-1"}}) {
    const auto run = f.Run(words);
    CHECK(run->Wait() == 5);
    CHECK_THAT(run->err.text(), Contains("→ Log in: slipway login --context home"));
  }
  const auto chinese = f.Run({"tasks", "--lang", "zh"});
  CHECK_THAT(chinese->err.text(), Contains("请登录：slipway login --context home"));
}

TEST_CASE("slipway logout: the login ends at the farm and its tokens are gone here",
          "[unit][cli]") {
  LoginFixture f;
  f.LogIn();
  const auto run = f.Run({"logout"});
  CHECK(run->Wait() == 0);
  CHECK(f.farm.access.logins.empty());
  CHECK_THAT(ReadFile(f.File()), !Contains("refresh") && Contains("wang"));
  CHECK(f.Run({"tasks"})->Wait() == 5);
  CHECK(f.Run({"logout"})->Wait() == 0);

  f.LogIn();
  f.LogIn();
  CHECK(f.Run({"logout", "--everywhere"})->Wait() == 0);
  CHECK(f.farm.access.logins.empty());

  f.LogIn();
  f.controller.Stop();
  const auto away = f.Run({"logout"});
  CHECK(away->Wait() == 3);
  CHECK_THAT(away->err.text(), Contains("not told"));
  CHECK_THAT(ReadFile(f.File()), !Contains("refresh"));
}

TEST_CASE("slipway logins: lists them with the own one marked, and ends one", "[unit][cli]") {
  LoginFixture f;
  f.LogIn();
  f.LogIn();
  const auto list = f.Run({"logins"});
  CHECK_THAT(list->out.text(), Contains("login-1") && Contains("login-2") && Contains("this one"));
  CHECK(f.Run({"logins", "end", "login-1"})->Wait() == 0);
  CHECK(f.farm.access.logins.size() == 1);
  CHECK(f.Run({"logins", "end", "login-1"})->Wait() == 3);
}

TEST_CASE("slipway passwd: asks thrice without echo, or takes two lines", "[unit][cli]") {
  LoginFixture f;
  f.LogIn();
  auto place = f.Place();
  place.answers = {kPassword, "a new password", "a new passwort"};
  const auto differ = f.Run({"passwd"}, place);
  CHECK(differ->Wait() == 2);
  for (const std::string& question : differ->questions()) CHECK_THAT(question, Contains("secret"));
  place.answers.back() = "a new password";
  CHECK(f.Run({"passwd"}, place)->Wait() == 0);
  CHECK(f.farm.access.accounts["wang"].password == "a new password");
  place = f.Place();
  place.in = "wrong\nthird password\n";
  const auto wrong = f.Run({"passwd", "--password-stdin"}, place);
  CHECK(wrong->Wait() == 6);
  place.in = "a new password\nthird password\n";
  CHECK(f.Run({"passwd", "--password-stdin"}, place)->Wait() == 0);
}

TEST_CASE("slipway context: several farms, and who goes before whom", "[unit][cli]") {
  LoginFixture f;
  f.LogIn();
  // The same farm as a machine, with a token that it must not show.
  f.farm.access.Add("robot", "", v1::ACCOUNT_KIND_SERVICE);
  f.farm.access.tokens["slt_robot"].set_account("robot");
  WriteFile(f.home / "robot.token", "slt_robot\n");
  const auto token =
      f.Run({"login", "--server", f.controller.address(), "--ca", f.controller.ca_file(),
             "--token-file", f.home / "robot.token", "--context", "robot"});
  INFO(token->err.text());
  REQUIRE(token->Wait() == 0);

  const auto who = [&](std::vector<std::string> words, CliRun::Place place) {
    words.insert(words.begin(), "whoami");
    return f.Run(words, std::move(place))->out.text();
  };
  auto named = f.Place();
  named.environment["SLIPWAY_CONTEXT"] = "home";
  WriteFile(f.home / "client.yaml", "server: " + f.controller.address() +
                                        "\nca: " + f.controller.ca_file() +
                                        "\ntoken_file: " + f.controller.token_file() + "\n");
  auto file = named;
  file.environment["SLIPWAY_CONFIG"] = f.home / "client.yaml";
  CHECK_THAT(who({}, f.Place()), Contains("robot"));  // the last login's
  CHECK_THAT(who({}, named), Contains("wang"));
  CHECK_THAT(who({}, file), Contains("root"));
  CHECK_THAT(who({"--context", "robot"}, file), Contains("robot"));
  CHECK_THAT(who({"--token-file", f.controller.token_file()}, named), Contains("root"));
  CHECK_THAT(who({"--config", f.home / "client.yaml"}, named), Contains("root"));
  CHECK(f.Run({"whoami", "--config", "x", "--context", "y"})->Wait() == 2);

  CHECK(f.Run({"context", "use", "home"})->Wait() == 0);
  CHECK_THAT(who({}, f.Place()), Contains("wang"));
  const auto list = f.Run({"context", "list"});
  CHECK_THAT(list->out.text(), Contains("*  home") && Contains("robot") && Contains("API token") &&
                                   !Contains("slt_"));
  const auto json = f.Run({"context", "list", "--json"});
  CHECK_THAT(json->out.text(),
             Contains("\"current\": true") && !Contains("slt_") && !Contains("refresh-"));
  const auto show = f.Run({"context", "show"});
  CHECK_THAT(show->out.text(), Contains("home") && Contains("sha256:") && !Contains("access-"));
  CHECK(f.Run({"context", "delete", "home"})->Wait() == 0);
  CHECK_FALSE(std::filesystem::exists(f.File()));
  CHECK(f.Run({"context", "use", "home"})->Wait() == 2);
  const auto gone = f.Run({"tasks", "--context", "../../etc/passwd"});
  CHECK(gone->Wait() == 2);
  CHECK_THAT(gone->err.text(), Contains("there is no context"));
  const auto nothing = f.Run({"tasks"});
  CHECK(nothing->Wait() == 2);
  CHECK_THAT(nothing->err.text(), Contains("slipway login --server HOST:PORT"));
}

TEST_CASE("slipway: a login goes to no controller of another CA", "[unit][cli]") {
  LoginFixture f;
  f.LogIn();
  FakeFarm other_farm;
  const FakeController other(other_farm);
  const auto flags = f.Run({"tasks", "--server", other.address(), "--ca", other.ca_file()});
  CHECK(flags->Wait() == 2);
  CHECK_THAT(flags->err.text(), Contains("another CA"));
  CHECK(f.Run({"tasks", "--server", other.address()})->Wait() == 3);
  CHECK(f.Run({"tasks", "--server", other.address(), "--ca", other.ca_file(), "--token-file",
               other.token_file()})
            ->Wait() == 0);
}

TEST_CASE("slipway: a damaged context names file and line", "[unit][cli]") {
  LoginFixture f;
  f.LogIn();
  WriteFile(f.File(), "server: x\nca: y\ntoken: z\n");
  const auto run = f.Run({"tasks"});
  CHECK(run->Wait() == 2);
  CHECK_THAT(run->err.text(), Contains("home.yaml:3"));
  // Logging in again mends it.
  f.LogIn();
  CHECK(f.Run({"tasks"})->Wait() == 0);
}

}  // namespace
}  // namespace slipway::cli
