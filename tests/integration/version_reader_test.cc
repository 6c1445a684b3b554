#include "controller/catalog/version_reader.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/status/status.h"
#include "tests/support/git_fixture.h"
#include "tests/support/git_servers.h"
#include "tests/support/silent_server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::catalog {
namespace {

using testing::GitFixture;
using testing::SilentServer;
using testing::StatusIs;
using testing::TempDir;
using namespace std::chrono_literals;

constexpr char kProject[] =
    "version: 1\nbuild: {image: alpine, run: make}\n"
    "platforms:\n  weixin: {app_id: wx1, output: dist}\n  web: {output: out}\n";

// Goes on when it is told to; read from the reader's threads.
class HandClock final : public Clock {
 public:
  [[nodiscard]] MonoTime Mono() const override { return MonoTime(Duration(passed_.load())); }
  [[nodiscard]] WallTime Wall() const override {
    return FromUnixMicros(1'800'000'000'000'000) + Duration(passed_.load());
  }
  void Advance(Duration by) { passed_ += by.count(); }

 private:
  std::atomic<Duration::rep> passed_ = 0;
};

struct World {
  TempDir temp;
  GitFixture git{temp.path() + "/origin"};
  HandClock clock;
  VersionReaderOptions options;
  std::unique_ptr<VersionReader> reader;

  World() {
    options.mirrors.work_dir = temp.path() + "/work";
    options.mirrors.allowed_schemes = {"file", "http"};
    options.mirrors.fetch_timeout = 30s;
    options.mirrors.program = "controller";
  }
  void Restart() {
    reader.reset();
    auto made = VersionReader::Create(options, clock);
    REQUIRE_OK(made);
    reader = *std::move(made);
  }
  [[nodiscard]] Repository repository() const { return {.url = git.path()}; }
  Knowledge Ask(const Repository& repository) {
    auto answer = std::make_shared<std::promise<Knowledge>>();
    auto future = answer->get_future();
    reader->Ask(repository, [answer](const Knowledge& known) { answer->set_value(known); });
    REQUIRE(future.wait_for(60s) == std::future_status::ready);
    return future.get();
  }
};

std::vector<std::string> NamesOf(const Knowledge& known) {
  std::vector<std::string> names;
  for (const git::Version& version : known.view->versions.versions) names.push_back(version.name);
  return names;
}

TEST_CASE("VersionReader: branches, tags, default branch and platforms of a repository",
          "[integration]") {
  World world;
  world.git.Write("slipway.yaml", kProject);
  const std::string commit = world.git.Commit("first");
  world.git.Git({"tag", "v1"});
  world.git.Git({"branch", "-M", "trunk"});
  world.Restart();
  const Knowledge known = world.Ask(world.repository());
  REQUIRE_OK(known.problem);
  REQUIRE(known.view);
  CHECK_FALSE(known.fetching);
  CHECK(NamesOf(known) == std::vector<std::string>{"v1", "trunk"});
  CHECK(known.view->default_branch == "trunk");
  CHECK(known.view->default_commit == commit);
  CHECK(known.view->platforms == std::vector<DeclaredPlatform>{{"weixin", "wx1"}, {"web", ""}});
  CHECK(known.view->fetched_at == world.clock.Wall());
}

TEST_CASE("VersionReader: a broken slipway.yaml keeps no version back", "[integration]") {
  World world;
  world.git.Write("slipway.yaml", "platforms: [&a [*a]]\nx: 1\n");
  world.git.Commit("broken");
  world.Restart();
  Knowledge known = world.Ask(world.repository());
  REQUIRE(known.view);
  CHECK(NamesOf(known) == std::vector<std::string>{"main"});
  CHECK_THAT(known.view->platforms_problem,
             StatusIs(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID"));
  std::filesystem::remove(world.git.path() + "/slipway.yaml");
  std::filesystem::create_symlink("/etc/passwd", world.git.path() + "/slipway.yaml");
  world.git.Commit("a link");
  world.clock.Advance(1h);
  known = world.Ask(world.repository());
  CHECK_THAT(known.view->platforms_problem, StatusIs(absl::StatusCode::kNotFound, "FILE_UNKNOWN"));
}

TEST_CASE("VersionReader: 100 who ask at once are answered by one fetch", "[integration]") {
  World world;
  world.git.Commit("first");
  world.Restart();
  std::atomic<int> answered = 0;
  std::atomic<int> good = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 100; ++i) {
    callers.emplace_back([&] {
      world.reader->Ask(world.repository(), [&](const Knowledge& known) {
        if (known.view && known.problem.ok()) ++good;
        ++answered;
      });
    });
  }
  for (std::thread& caller : callers) caller.join();
  REQUIRE(testing::WaitUntil([&] { return answered == 100; }));
  CHECK(good == 100);
  CHECK(world.reader->fetches() == 1);
}

TEST_CASE("VersionReader: what was fetched a moment ago is answered, later it is fetched anew",
          "[integration]") {
  World world;
  world.git.Commit("first");
  world.Restart();
  REQUIRE(world.Ask(world.repository()).view);
  world.git.Git({"tag", "v1"});
  world.clock.Advance(4s);
  CHECK(NamesOf(world.Ask(world.repository())).size() == 1);
  CHECK(world.reader->fetches() == 1);
  world.clock.Advance(1s);
  CHECK(NamesOf(world.Ask(world.repository())).size() == 2);
  CHECK(world.reader->fetches() == 2);
}

TEST_CASE("VersionReader: who only looks waits for nothing and has a fetch begun",
          "[integration]") {
  World world;
  world.git.Commit("first");
  world.Restart();
  const Knowledge first = world.reader->Look(world.repository());
  CHECK_FALSE(first.view);
  CHECK_OK(first.problem);
  REQUIRE(testing::WaitUntil([&] { return world.reader->Look(world.repository()).view; }));
  REQUIRE(testing::WaitUntil([&] { return !world.reader->Look(world.repository()).fetching; }));
  CHECK(world.reader->fetches() == 1);
  world.clock.Advance(1min);
  (void)world.reader->Look(world.repository());
  REQUIRE(testing::WaitUntil([&] { return world.reader->fetches() == 2; }));
}

TEST_CASE("VersionReader: a repository that is gone is answered as it was, with the reason",
          "[integration]") {
  World world;
  world.git.Commit("first");
  world.Restart();
  const Repository repository = world.repository();
  const WallTime fetched_at = world.Ask(repository).view->fetched_at;
  std::filesystem::rename(world.git.path(), world.git.path() + ".away");
  world.clock.Advance(1h);
  Knowledge known = world.Ask(repository);
  REQUIRE(known.view);
  CHECK(known.view->fetched_at == fetched_at);
  CHECK_THAT(known.problem, StatusIs(absl::StatusCode::kUnavailable, "REPOSITORY_UNREACHABLE"));
  CHECK_THAT(GetErrorInfo(known.problem).remedy, Catch::Contains("the controller"));
  // Not tried again at once, whoever asks.
  CHECK(world.reader->fetches() == 2);
  (void)world.Ask(repository);
  CHECK(world.reader->fetches() == 2);

  SECTION("and after a restart, too") {
    world.Restart();
    known = world.Ask(repository);
    REQUIRE(known.view);
    CHECK(known.view->fetched_at == fetched_at);
    CHECK_FALSE(known.problem.ok());
  }
  SECTION("until it is back") {
    std::filesystem::rename(world.git.path() + ".away", world.git.path());
    world.clock.Advance(15s);
    known = world.Ask(repository);
    CHECK_OK(known.problem);
    CHECK(known.view->fetched_at == world.clock.Wall());
  }
}

TEST_CASE("VersionReader: what one credential opened is shown to no other", "[integration]") {
  SilentServer server;
  World world;
  world.options.mirrors.fetch_timeout = 1s;
  // A mirror that an earlier process has fetched with a password.
  world.git.Commit("secret");
  std::string with = server.url();
  with.insert(with.find("127"), "u:p@");
  const auto mirrors = git::MirrorCache::Create(world.options.mirrors);
  REQUIRE_OK(mirrors);
  REQUIRE_OK((*mirrors)->Refresh(world.git.path()));
  std::filesystem::rename(*(*mirrors)->PathOf(world.git.path()), *(*mirrors)->PathOf(with));
  world.Restart();
  for (const std::string& url : {with, server.url()}) {
    const Knowledge known = world.Ask({.url = url});
    CHECK_FALSE(known.view);
    CHECK_FALSE(known.problem.ok());
  }
}

TEST_CASE("VersionReader: a private repository is read with its application's credential alone",
          "[integration]") {
  World world;
  const std::string commit = world.git.Commit("secret");
  const testing::GitHttpServer server(world.temp.path(), "bob", "right-passw0rd");
  world.options.open_credential = [here = server.Url("origin")](const std::string& application,
                                                                const std::string& url) {
    const bool right = application == "shop" && url == here;
    return absl::StatusOr<crypto::RepositoryCredential>(crypto::RepositoryCredential{
        crypto::RepositoryCredentialKind::kHttps, "bob",
        crypto::SecretBytes::CopyOf(right ? "right-passw0rd" : "wr0ng"), ""});
  };
  world.Restart();
  const Repository shop{.url = server.Url("origin"), .application = "shop", .credential = "1"};
  const Knowledge known = world.Ask(shop);
  REQUIRE_OK(known.problem);
  REQUIRE(known.view);
  CHECK(known.view->default_commit == commit);
  Repository bakery = shop;
  bakery.application = "bakery";
  for (const Repository& other : {bakery, Repository{.url = shop.url}}) {
    const Knowledge refused = world.Ask(other);
    CHECK_FALSE(refused.view);
    CHECK_THAT(refused.problem,
               StatusIs(absl::StatusCode::kPermissionDenied, "REPOSITORY_ACCESS_DENIED"));
  }
  // Nor by the next process, before it has asked the server.
  world.Restart();
  for (const Repository& other : {bakery, Repository{.url = shop.url}}) {
    CHECK_FALSE(world.reader->Look(other).view);
    CHECK_FALSE(world.Ask(other).view);
  }
}

TEST_CASE("VersionReader: a server that says nothing ends at the deadline and keeps no other back",
          "[integration]") {
  SilentServer server;
  World world;
  world.options.mirrors.fetch_timeout = 2s;
  world.git.Commit("first");
  world.Restart();
  std::promise<Knowledge> silent;
  world.reader->Ask({.url = server.url()},
                    [&](const Knowledge& known) { silent.set_value(known); });
  CHECK(world.Ask(world.repository()).view);
  auto ended = silent.get_future();
  REQUIRE(ended.wait_for(60s) == std::future_status::ready);
  CHECK_THAT(ended.get().problem,
             StatusIs(absl::StatusCode::kDeadlineExceeded, "REPOSITORY_TIMEOUT"));
}

TEST_CASE("VersionReader: several repositories of a server that says nothing keep no other back",
          "[integration]") {
  SilentServer server;
  World world;
  world.options.mirrors.fetch_timeout = 1h;
  world.git.Commit("first");
  world.Restart();
  for (int i = 0; i < 10; ++i) (void)world.reader->Look({.url = server.url() + std::to_string(i)});
  REQUIRE(testing::WaitUntil([&] { return world.reader->fetches() == 2; }));
  CHECK(world.Ask(world.repository()).view);
}

TEST_CASE("VersionReader: its end ends the fetches, and whoever waits is answered",
          "[integration]") {
  SilentServer server;
  World world;
  world.options.max_fetches = 1;
  world.Restart();
  int answered = 0;
  for (int i = 0; i < 3; ++i) {
    world.reader->Ask({.url = server.url() + std::to_string(i)},
                      [&](const Knowledge&) { ++answered; });
  }
  REQUIRE(testing::WaitUntil([&] { return world.reader->fetches() == 1; }));
  world.reader.reset();
  CHECK(answered == 3);
}

TEST_CASE("VersionReader: more repositories than may wait are answered with what is known",
          "[integration]") {
  SilentServer server;
  World world;
  world.options.max_fetches = 1;
  world.options.max_waiting = 1;
  world.Restart();
  world.reader->Ask({.url = server.url() + "0"}, [](const Knowledge&) {});
  REQUIRE(testing::WaitUntil([&] { return world.reader->fetches() == 1; }));
  world.reader->Ask({.url = server.url() + "1"}, [](const Knowledge&) {});
  const Knowledge refused = world.Ask({.url = server.url() + "2"});
  CHECK_THAT(refused.problem, StatusIs(absl::StatusCode::kResourceExhausted, "QUEUE_FULL"));
  world.reader.reset();
}

TEST_CASE("VersionReader: of more mirrors than are kept, the one asked for longest ago goes",
          "[integration]") {
  World world;
  world.options.max_mirrors = 2;
  std::vector<std::unique_ptr<GitFixture>> others;
  world.Restart();
  for (int i = 0; i < 4; ++i) {
    others.push_back(
        std::make_unique<GitFixture>(world.temp.path() + "/other-" + std::to_string(i)));
    others.back()->Commit("first");
    REQUIRE(world.Ask({.url = others.back()->path()}).view);
  }
  const auto mirrors = git::MirrorCache::Create(world.options.mirrors);
  REQUIRE_OK(mirrors);
  CHECK((*mirrors)->ListIdle(WallTime::max()).size() == 2);
  CHECK_FALSE(std::filesystem::exists(*(*mirrors)->PathOf(others[0]->path())));
  CHECK(std::filesystem::exists(*(*mirrors)->PathOf(others[3]->path())));
  // Fetched anew when somebody asks.
  world.clock.Advance(1h);
  CHECK(world.Ask({.url = others[0]->path()}).view);
}

}  // namespace
}  // namespace slipway::catalog
