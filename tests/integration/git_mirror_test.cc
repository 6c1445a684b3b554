#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "agent/workspace/failure.h"
#include "common/git/mirror_cache.h"
#include "common/git/repository_url.h"
#include "tests/integration/mirror_world.h"
#include "tests/support/git_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::git {
namespace {

using protocol::FailureClass;
using testing::GitFixture;
using testing::StatusIs;
using testing::TempDir;
using namespace std::chrono_literals;

using World = testing::MirrorWorld;

TEST_CASE("MirrorCache: a ref is resolved to what it is after the newest push", "[integration]") {
  World world;
  world.git.Write("a.txt", "1");
  const std::string first = world.git.Commit("first");
  world.git.Git({"tag", "-a", "v1", "-m", "annotated"});
  world.git.Git({"branch", "feature/login"});

  auto main = world.mirrors->Resolve(world.url(), "main");
  REQUIRE_OK(main);
  CHECK(main->commit == first);
  CHECK(main->kind == RefKind::kBranch);
  auto tag = world.mirrors->Resolve(world.url(), "v1");
  REQUIRE_OK(tag);
  CHECK(tag->commit == first);
  CHECK(tag->kind == RefKind::kTag);
  CHECK(world.mirrors->Resolve(world.url(), "refs/tags/v1")->name == "v1");
  CHECK(world.mirrors->Resolve(world.url(), "feature/login")->name == "feature/login");
  CHECK(world.mirrors->Resolve(world.url(), first.substr(0, 8))->commit == first);
  CHECK(world.mirrors->Resolve(world.url(), "")->name == "main");

  world.git.Write("a.txt", "2");
  const std::string second = world.git.Commit("second");
  CHECK(world.mirrors->Resolve(world.url(), "main")->commit == second);
  // Force-pushed, and a branch that became the directory of another.
  world.git.Git({"reset", "-q", "--hard", first});
  world.git.Git({"branch", "-D", "feature/login"});
  world.git.Git({"branch", "feature"});
  CHECK(world.mirrors->Resolve(world.url(), "main")->commit == first);
  CHECK(world.mirrors->Resolve(world.url(), "feature")->commit == first);
  CHECK_FALSE(world.mirrors->Resolve(world.url(), "feature/login").ok());
  CHECK(world.mirrors->Resolve(world.url(), second)->commit == second);
}

TEST_CASE("MirrorCache: a commit's id means that commit, whatever a branch is called",
          "[integration]") {
  World world;
  world.git.Write("a.txt", "1");
  const std::string first = world.git.Commit("first");
  world.git.Write("a.txt", "2");
  const std::string second = world.git.Commit("second");
  world.git.Git({"update-ref", "refs/heads/" + second, first});
  // The mirror has neither yet.
  const auto found = world.mirrors->Resolve(world.url(), second);
  REQUIRE_OK(found);
  CHECK(found->commit == second);
  CHECK(found->kind == RefKind::kCommit);
}

TEST_CASE("MirrorCache: a mirror is idle from its last use on, and can be dropped then",
          "[integration]") {
  World world;
  world.git.Write("a.txt", "1");
  const std::string commit = world.git.Commit("first");
  const WallTime before = SystemClock().Wall() - 1h;
  const WallTime after = SystemClock().Wall() + 1h;
  REQUIRE_OK(world.mirrors->Resolve(world.url(), "main"));
  CHECK(world.mirrors->ListIdle(before).empty());
  const auto idle = world.mirrors->ListIdle(after);
  REQUIRE(idle.size() == 1);
  CHECK(idle[0].path == *world.mirrors->PathOf(world.url()));
  CHECK_THAT(world.mirrors->DropIdle(idle[0].name, before), StatusIs(absl::StatusCode::kAborted));
  {
    // Somebody fetches.
    const int fd = open((world.temp.path() + "/work/mirrors/" + idle[0].name + ".lock").c_str(),
                        O_RDWR | O_CLOEXEC);
    REQUIRE(flock(fd, LOCK_EX) == 0);
    CHECK_THAT(world.mirrors->DropIdle(idle[0].name, after), StatusIs(absl::StatusCode::kAborted));
    close(fd);
  }
  CHECK_OK(world.mirrors->DropIdle(idle[0].name, after));
  CHECK(world.mirrors->ListIdle(after).empty());
  CHECK(world.mirrors->Resolve(world.url(), commit)->commit == commit);
}

TEST_CASE("MirrorCache: an unknown ref is a build failure naming what is near", "[integration]") {
  World world;
  world.git.Commit("first");
  world.git.Git({"branch", "release-2024"});
  for (const char* ref : {"relase-2024", "release"}) {
    const auto status = world.mirrors->Resolve(world.url(), ref).status();
    CHECK_THAT(status, StatusIs(absl::StatusCode::kNotFound, "REF_UNKNOWN"));
    CHECK_THAT(std::string(status.message()),
               Catch::Contains(ref) && Catch::Contains("'release-2024'"));
    CHECK(workspace::ToFailure(status).klass == FailureClass::kBuild);
  }
  for (const std::string ref :
       {"--upload-pack=touch /tmp/x", "a b", "a..b", "-x", "x:y", "main^"}) {
    INFO(ref);
    CHECK_THAT(world.mirrors->Resolve(world.url(), ref).status(),
               StatusIs(absl::StatusCode::kNotFound, "REF_UNKNOWN"));
  }
  CHECK_THAT(world.mirrors->Resolve(world.url(), std::string(40, 'a')).status(),
             StatusIs(absl::StatusCode::kNotFound, "REF_UNKNOWN"));
}

TEST_CASE("MirrorCache: an unreachable repository is a network failure in git's own words",
          "[integration]") {
  World world;
  for (const std::string url : {"http://127.0.0.1:1/x.git", "/nonexistent/x.git"}) {
    const auto status = world.mirrors->Resolve(url, "main").status();
    CHECK_THAT(status, StatusIs(absl::StatusCode::kUnavailable, "REPOSITORY_UNREACHABLE"));
    const auto failure = workspace::ToFailure(status);
    CHECK(failure.klass == FailureClass::kNetwork);
    CHECK_THAT(failure.tool_words, Catch::Contains("fatal:"));
    CHECK_FALSE(failure.remedy.empty());
    CHECK_FALSE(failure.remedy_zh.empty());
  }
}

TEST_CASE("MirrorCache: credentials of the URL reach neither messages, arguments nor disk",
          "[integration]") {
  World world;
  // A git that writes down how it was called.
  const std::string bin = world.temp.path() + "/bin";
  testing::WriteFile(
      bin + "/git",
      "#!/bin/sh\necho \"$@\" >> " + bin +
          "/argv\n"
          "echo \"fatal: could not read from s3cret/word\" >&2\n"
          "case \" $* \" in *\" fetch \"*) exit 128;; esac\nexec /usr/bin/git \"$@\"\n");
  chmod((bin + "/git").c_str(), 0755);
  MirrorOptions options = world.mirrors->options();
  options.environment["PATH"] = bin + ":/usr/bin:/bin";
  auto mirrors = MirrorCache::Create(options);
  REQUIRE_OK(mirrors);
  const auto status =
      (*mirrors)->Resolve("http://me:s3cret%2Fword@127.0.0.1:1/x.git", "main").status();
  CHECK_FALSE(status.ok());
  const auto failure = workspace::ToFailure(status);
  CHECK_THAT(failure.tool_words, Catch::Contains("***"));
  CHECK_THAT(failure.message + failure.tool_words, !Catch::Contains("s3cret"));
  const std::string argv = testing::ReadFile(bin + "/argv");
  CHECK_THAT(argv, Catch::Contains("fetch") && !Catch::Contains("s3cret"));
  for (const auto& item :
       std::filesystem::recursive_directory_iterator(options.work_dir + "/mirrors")) {
    if (item.is_regular_file()) {
      CHECK_THAT(testing::ReadFile(item.path().string()), !Catch::Contains("s3cret"));
    }
  }
}

TEST_CASE("MirrorCache: what a hostile server says is short text that steers no terminal",
          "[integration]") {
  World world;
  // As a server's, which git passes on as it comes.
  const std::string server = world.temp.path() + "/server";
  testing::WriteFile(server,
                     "#!/bin/sh\nprintf '2008ERR pay\\302\\2332J\\342\\200\\256load \\377 '\n"
                     "head -c 8192 /dev/zero | tr '\\0' x\n");
  chmod(server.c_str(), 0755);
  MirrorOptions options = world.mirrors->options();
  options.allowed_schemes.insert("ssh");
  options.environment["GIT_SSH_COMMAND"] = server;
  const auto mirrors = MirrorCache::Create(options);
  REQUIRE_OK(mirrors);
  const auto failure =
      workspace::ToFailure((*mirrors)->Resolve("ssh://git@127.0.0.1:1/x.git", "main").status());
  INFO(failure.message);
  CHECK_THAT(failure.message, Catch::Contains("pay?2J?load ? xxx"));
  CHECK_THAT(failure.tool_words, Catch::Contains("pay?2J?load ? xxx"));
  CHECK(failure.message.size() < 600);
}

TEST_CASE("MirrorCache: a fetch that hangs ends at its deadline, and at a stop", "[integration]") {
  World world;
  const std::string bin = world.temp.path() + "/bin";
  testing::WriteFile(bin + "/git",
                     "#!/bin/sh\ncase \" $* \" in *\" fetch \"*) touch $0.called; sleep 60;; esac\n"
                     "exec /usr/bin/git \"$@\"\n");
  chmod((bin + "/git").c_str(), 0755);
  MirrorOptions options = world.mirrors->options();
  options.environment["PATH"] = bin + ":/usr/bin:/bin";
  options.fetch_timeout = 300ms;
  auto mirrors = MirrorCache::Create(options);
  REQUIRE_OK(mirrors);
  const auto start = std::chrono::steady_clock::now();
  const auto status = (*mirrors)->Resolve(world.url(), "main").status();
  CHECK_THAT(status, StatusIs(absl::StatusCode::kDeadlineExceeded, "REPOSITORY_TIMEOUT"));
  CHECK(workspace::ToFailure(status).klass == FailureClass::kNetwork);

  options.fetch_timeout = 60s;
  std::filesystem::remove(bin + "/git.called");
  mirrors = MirrorCache::Create(options);
  REQUIRE_OK(mirrors);
  std::stop_source stop;
  std::thread stopper([&] {
    (void)testing::WaitUntil([&] { return std::filesystem::exists(bin + "/git.called"); });
    stop.request_stop();
  });
  const auto stopped = (*mirrors)->Resolve(world.url(), "main", stop.get_token()).status();
  stopper.join();
  CHECK(stopped.code() == absl::StatusCode::kCancelled);
  CHECK(workspace::ToFailure(stopped).klass == FailureClass::kCanceled);
  CHECK(std::chrono::steady_clock::now() - start < 20s);
}

TEST_CASE("MirrorCache: a mirror held by another process is waited for until the deadline",
          "[integration]") {
  World world;
  world.git.Commit("first");
  REQUIRE_OK(world.mirrors->Resolve(world.url(), "main"));
  std::string lock_path = *world.mirrors->PathOf(world.url());
  lock_path.replace(lock_path.size() - 4, 4, ".lock");
  const int fd = open(lock_path.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  REQUIRE(flock(fd, LOCK_EX) == 0);
  MirrorOptions options = world.mirrors->options();
  options.fetch_timeout = 100ms;
  auto mirrors = MirrorCache::Create(options);
  REQUIRE_OK(mirrors);
  CHECK_THAT((*mirrors)->Resolve(world.url(), "main").status(),
             StatusIs(absl::StatusCode::kDeadlineExceeded, "REPOSITORY_TIMEOUT"));
  close(fd);
  CHECK_OK(world.mirrors->Resolve(world.url(), "main"));
}

TEST_CASE("MirrorCache: a half-made or damaged mirror is made anew", "[integration]") {
  World world;
  world.git.Write("a.txt", std::string(5000, 'x'));
  const std::string commit = world.git.Commit("first");
  const std::string dir = *world.mirrors->PathOf(world.url());

  SECTION("a directory that is no repository") {
    testing::WriteFile(dir + "/config", "nonsense");
    CHECK(world.mirrors->Resolve(world.url(), "main")->commit == commit);
  }
  SECTION("HEAD is gone") {
    REQUIRE_OK(world.mirrors->Resolve(world.url(), "main"));
    std::filesystem::remove(dir + "/HEAD");
    CHECK(world.mirrors->Resolve(world.url(), "main")->commit == commit);
  }
  SECTION("every object is cut to nothing") {
    REQUIRE_OK(world.mirrors->Resolve(world.url(), "main"));
    for (const auto& item : std::filesystem::recursive_directory_iterator(dir + "/objects")) {
      if (!item.is_regular_file()) continue;
      std::filesystem::permissions(item.path(), std::filesystem::perms::owner_all);
      std::filesystem::resize_file(item.path(), 0);
    }
    world.Restart();
    CHECK(world.mirrors->Resolve(world.url(), "main")->commit == commit);
    CHECK(world.mirrors->Reader(world.url())->ReadFile(commit, "a.txt", 9999)->size() == 5000);
  }
  SECTION("a branch points to garbage") {
    REQUIRE_OK(world.mirrors->Resolve(world.url(), "main"));
    testing::WriteFile(dir + "/refs/heads/main", std::string(40, '1') + "\n");
    CHECK(world.mirrors->Resolve(world.url(), "main")->commit == commit);
  }
}

TEST_CASE("MirrorCache: hooks and configuration of a repository are not used", "[integration]") {
  World world;
  const std::string commit = world.git.Commit("first");
  REQUIRE_OK(world.mirrors->Resolve(world.url(), "main"));
  const std::string dir = *world.mirrors->PathOf(world.url());
  const std::string proof = world.temp.path() + "/proof";
  for (const char* hook : {"reference-transaction", "post-checkout", "pre-auto-gc", "update"}) {
    testing::WriteFile(dir + "/hooks/" + hook, "#!/bin/sh\ntouch " + proof + "\n");
    chmod((dir + "/hooks/" + hook).c_str(), 0755);
  }
  world.git.Write("b", "b");
  world.git.Commit("second");
  REQUIRE_OK(world.mirrors->Resolve(world.url(), "main"));
  CHECK_FALSE(std::filesystem::exists(proof));
}

TEST_CASE("MirrorCache: many fetches do not leave many packs", "[integration]") {
  World world;
  std::vector<std::string> commits;
  for (int i = 0; i < 60; ++i) {
    world.git.Write("a.txt", std::to_string(i));
    commits.push_back(world.git.Commit(std::to_string(i)));
    REQUIRE_OK(world.mirrors->Resolve(world.url(), "main"));
  }
  std::size_t packs = 0;
  const std::string dir = *world.mirrors->PathOf(world.url()) + "/objects/pack";
  for (const auto& item : std::filesystem::directory_iterator(dir)) {
    packs += item.path().extension() == ".pack" ? 1 : 0;
  }
  CHECK(packs <= 41);
  auto reader = world.mirrors->Reader(world.url());
  REQUIRE_OK(reader);
  for (std::size_t i = 0; i < commits.size(); ++i) {
    CHECK(*reader->ReadFile(commits[i], "a.txt", 10) == std::to_string(i));
  }
}

TEST_CASE("MirrorCache: objects that git calls unsafe are refused", "[integration]") {
  World world;
  world.git.Commit("first");
  world.git.Write("evil", "x");
  const std::string blob = world.git.Git({"hash-object", "-w", "evil"});
  // A tree with a file named .git, which git itself refuses to make.
  const std::string raw = world.temp.path() + "/tree";
  std::string bytes = "100644 .git";
  bytes.push_back('\0');
  for (std::size_t i = 0; i < 40; i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(blob.substr(i, 2), nullptr, 16)));
  }
  testing::WriteFile(raw, bytes);
  const std::string tree = world.git.Git({"hash-object", "-w", "-t", "tree", "--literally", raw});
  const std::string commit = world.git.Git({"commit-tree", tree, "-m", "evil"});
  world.git.Git({"update-ref", "refs/heads/evil", commit});
  const auto status = world.mirrors->Resolve(world.url(), "evil").status();
  CHECK_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, "REPOSITORY_REFUSED"));
  CHECK(workspace::ToFailure(status).klass == FailureClass::kPolicy);
}

TEST_CASE("ParseRepositoryUrl: option-like, unknown and forbidden forms are refused",
          "[integration]") {
  const std::set<std::string> allowed{"https", "ssh", "git"};
  for (const char* url : {"",
                          "-uhttps://x/y",
                          "--upload-pack=x",
                          "ext::sh -c id",
                          "ext::sh",
                          "file:///x",
                          "/x/y",
                          "http://h/p",
                          "https://",
                          "https://h",
                          "https:///p",
                          "ssh://-oProxyCommand=id/x",
                          "-oProxyCommand=id:x",
                          "ssh://u:pw@h/p",
                          "https://h/a b",
                          "https://h/a\nb",
                          "ftp://h/p",
                          "relative/path",
                          "h:-x",
                          "fd::3",
                          "git@[one.example]:a.git",
                          "git@[::1]:a.git",
                          "[one.example:22]:a.git",
                          "ssh://git@[one.example]/a.git",
                          "ssh://git@[::1/a.git",
                          "ssh://git@[::1]x/a.git",
                          "ssh://git@a]b/a.git",
                          "https://u:%0a@h/p",
                          "https://u:%zz@h/p"}) {
    INFO(url);
    CHECK_THAT(ParseRepositoryUrl(url, allowed).status(),
               StatusIs(absl::StatusCode::kInvalidArgument, "REPOSITORY_URL_INVALID"));
  }
  CHECK(ParseRepositoryUrl("git@host:team/app.git", allowed)->clean == "git@host:team/app.git");
  CHECK(ParseRepositoryUrl("ssh://git@host:22/a.git", allowed)->clean == "ssh://git@host:22/a.git");
  CHECK(ParseRepositoryUrl("ssh://git@[fe80::1]:22/a.git", allowed)->Origin() ==
        "ssh://git@[fe80::1]:22");
  CHECK(HasLogin("https://t0ken@host/a.git"));
  CHECK(HasLogin("http://u:p@host/a.git"));
  CHECK_FALSE(HasLogin("https://host/a@b.git"));
  CHECK_FALSE(HasLogin("ssh://git@host/a.git"));
  const auto url = ParseRepositoryUrl("https://u:p%40ss@host:8443/a.git", allowed);
  REQUIRE_OK(url);
  CHECK(url->clean == "https://host:8443/a.git");
  CHECK(url->username == "u");
  CHECK(url->password == "p@ss");
  CHECK(url->Origin() == "https://host:8443");
}

TEST_CASE(
    "CommitReader: chains of tags, tags of files and commits too large to be honest are passed "
    "over",
    "[integration]") {
  World world;
  const std::string commit = world.git.Commit("one");
  world.git.Git({"tag", "-a", "-m", "annotated", "v1"});
  world.git.Git({"tag", "-a", "-m", "of a tree", "tree", "HEAD^{tree}"});
  world.git.Git({"tag", "-a", "-m", "deep", "deep-0"});
  for (int i = 1; i <= 12; ++i) {
    world.git.Git(
        {"tag", "-a", "-m", "deep", "deep-" + std::to_string(i), "deep-" + std::to_string(i - 1)});
  }
  testing::WriteFile(world.temp.path() + "/message", std::string(2 << 20, 'x'));
  world.git.Git({"checkout", "-q", "-b", "large"});
  world.git.Git({"commit", "-q", "--allow-empty", "-F", world.temp.path() + "/message"});
  world.git.Git({"checkout", "-q", "main"});
  REQUIRE_OK(world.mirrors->Refresh(world.url()));
  const auto reader = world.mirrors->Reader(world.url());
  REQUIRE_OK(reader);
  CHECK(reader->DefaultCommit() == commit);
  const auto versions = reader->ListVersions();
  REQUIRE_OK(versions);
  std::set<std::string> names;
  for (const Version& version : versions->versions) names.insert(version.name);
  CHECK(names.contains("main"));
  CHECK(names.contains("v1"));
  CHECK_FALSE(names.contains("tree"));
  CHECK_FALSE(names.contains("deep-12"));
  CHECK_FALSE(names.contains("large"));
}

TEST_CASE("MirrorCache: a repository without commits is up to date, too", "[integration]") {
  World world;
  REQUIRE_OK(world.mirrors->Refresh(world.url()));
  const auto reader = world.mirrors->Reader(world.url());
  REQUIRE_OK(reader);
  CHECK(reader->DefaultCommit().empty());
  CHECK(reader->ListVersions()->versions.empty());
  const std::string commit = world.git.Commit("first");
  REQUIRE_OK(world.mirrors->Refresh(world.url()));
  CHECK(world.mirrors->Reader(world.url())->DefaultCommit() == commit);
}

TEST_CASE("MirrorCache: a fetch that would write too much is ended", "[integration]") {
  World world;
  std::string noise;
  std::uint32_t state = 1;
  for (int i = 0; i < 1 << 20; ++i) {
    state = state * 1664525U + 1013904223U;
    noise.push_back(static_cast<char>(state >> 24U));
  }
  world.git.Write("noise", noise);
  world.git.Commit("large");
  MirrorOptions options = world.mirrors->options();
  options.max_file_bytes = 64 * 1024;
  world.mirrors.reset();
  auto bounded = MirrorCache::Create(options);
  REQUIRE_OK(bounded);
  CHECK_THAT((*bounded)->Refresh(world.url()),
             StatusIs(absl::StatusCode::kFailedPrecondition, "REPOSITORY_TOO_LARGE"));
  const auto remains = [&] {
    std::string names;
    for (const auto& item :
         std::filesystem::recursive_directory_iterator(options.work_dir + "/mirrors")) {
      const std::string name = item.path().filename().string();
      if (name.rfind("tmp_", 0) == 0) names += name + "\n";
    }
    return names;
  };
  // Or trying it again and again would fill the disk.
  CHECK(remains().empty());

  // As a program leaves it that is killed with its git.
  testing::WriteFile(*(*bounded)->PathOf(world.url()) + "/objects/pack/tmp_pack_dead", "half");
  world.git.Write("noise", "little");
  world.git.Git({"add", "-A"});
  world.git.Git({"commit", "--quiet", "--amend", "-m", "small"});
  CHECK_OK((*bounded)->Refresh(world.url()));
  CHECK(remains().empty());
}

}  // namespace
}  // namespace slipway::git
