#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "tests/support/fake_init.h"
#include "tests/support/git_fixture.h"
#include "tests/support/wait_until.h"
#include "tests/unit/runner_machine.h"

// What builds leave to the next ones, and what those find.
namespace slipway::runner {
namespace {

namespace stdfs = std::filesystem;
using testing::FakeInit;
using testing::GitFixture;
using testing::ReadFile;
using testing::WriteFile;

init::StepResult Ended(int exit_code) {
  init::StepResult result;
  result.exit_code = exit_code;
  return result;
}

// What a script sees of its container, as paths of this machine.
struct Inside {
  std::string tree;
  std::string caches;

  [[nodiscard]] std::string Npm() const {
    return stdfs::exists(caches + "/npm/file") ? ReadFile(caches + "/npm/file") : "";
  }
  [[nodiscard]] std::string Modules() const {
    return stdfs::exists(tree + "/node_modules/file") ? ReadFile(tree + "/node_modules/file") : "";
  }
  void Write(const std::string& content) const {
    WriteFile(tree + "/dist/app.js", "x");
    WriteFile(tree + "/node_modules/file", content);
    WriteFile(caches + "/npm/file", content);
  }
};

struct Building : Machine {
  Building() : Machine({"file"}) {
    Declare("  npm: true\n  modules: {path: node_modules, key: package-lock.json}\n");
    engine.AddImage("node:1");
    engine.OnStart([this](const executor::ContainerId& id, const executor::ContainerSpec& spec) {
      std::map<std::string, std::string> mounts;
      for (const auto& bind : spec.binds) mounts[bind.container_path] = bind.host_path;
      const Inside inside{.tree = mounts.at(inside::kWorkspace),
                          .caches = mounts.at(inside::kCaches)};
      const std::lock_guard lock(mu);
      found = {inside.Npm(), inside.Modules()};
      if (act) act(inside);
      inits[id] = std::make_unique<FakeInit>(mounts.at(inside::kControl),
                                             FakeInit::Script{.refuses_steps = false, .end = end});
    });
  }
  void Declare(const std::string& declared, const std::string& more = "") {
    repository.Write("slipway.yaml",
                     "version: 1\nbuild: {image: \"node:1\", script: build.sh" + more +
                         "}\n"
                         "platforms: {weixin: {app_id: wx1, output: dist}}\ncaches:\n" +
                         declared);
    repository.Write("build.sh", "exit 0\n");
    repository.Write("package-lock.json", "one\n");
    (void)repository.Commit("a change");
  }
  // A build of a script that does so, from its begin until nothing of it is left.
  protocol::AttemptResult Build(std::function<void(const Inside&)> does,
                                std::optional<init::StepResult> ends) {
    const AttemptKey key{TaskId("task-" + std::to_string(++number)), Attempt(1)};
    {
      const std::lock_guard lock(mu);
      act = std::move(does);
      end = std::move(ends);
      found = {};
    }
    events.ForgetSteps();
    const auto kind = brought ? protocol::TaskKind::kScript : protocol::TaskKind::kBuild;
    runner->Start({key, kind, "file://" + repository.path()});
    if (!end) {
      REQUIRE(events.WaitStep("script"));
      runner->Cancel(key);
    }
    const auto result = events.WaitResult(key);
    REQUIRE(result);
    log = LogOf(key);
    runner->Delete(key);
    REQUIRE(events.WaitDeleted(static_cast<std::size_t>(number)));
    runner->Forget(key);
    REQUIRE(trees->WaitUntilRestored(std::chrono::seconds(10)));
    return *result;
  }
  protocol::AttemptResult BuildWriting(const std::string& content, int exit_code = 0) {
    return Build([content](const Inside& inside) { inside.Write(content); }, Ended(exit_code));
  }

  GitFixture repository{dir / "repository"};
  std::mutex mu;
  std::function<void(const Inside&)> act;
  std::optional<init::StepResult> end;
  std::pair<std::string, std::string> found;  // npm's, modules
  std::map<executor::ContainerId, std::unique_ptr<FakeInit>> inits;
  int number = 0;
  std::string log;
};

using Found = std::pair<std::string, std::string>;

TEST_CASE("Caches: the next build of the application finds what a good one left", "[unit]") {
  Building farm;
  CHECK_FALSE(farm.BuildWriting("one").failure);
  CHECK(farm.found == Found{"", ""});
  CHECK_THAT(farm.log,
             Catch::Contains("cache npm: miss") && Catch::Contains("cache modules: miss"));
  CHECK_THAT(farm.log, Catch::Contains("kept for the next build: modules, npm"));
  CHECK_FALSE(farm.BuildWriting("two").failure);
  CHECK(farm.found == Found{"one", "one"});
  CHECK_THAT(farm.log,
             Catch::Contains("cache npm: hit (") && Catch::Contains("cache modules: hit ("));
  // Nothing of it is in a kept work tree.
  farm.Declare("  npm: true\n");
  CHECK_FALSE(
      farm.Build([](const Inside& inside) { WriteFile(inside.tree + "/dist/a", "x"); }, Ended(0))
          .failure);
  CHECK(farm.found == Found{"two", ""});
}

TEST_CASE("Caches: another application finds nothing, also of the same repository", "[unit]") {
  Building farm;
  CHECK_FALSE(farm.BuildWriting("mine").failure);
  farm.application = "app-2";
  CHECK_FALSE(farm.BuildWriting("theirs").failure);
  CHECK(farm.found == Found{"", ""});
  farm.application = "app-1";
  CHECK_FALSE(farm.BuildWriting("mine").failure);
  CHECK(farm.found == Found{"mine", "mine"});
}

TEST_CASE("Caches: a folder is for the files that it was made from", "[unit]") {
  Building farm;
  CHECK_FALSE(farm.BuildWriting("one").failure);
  farm.repository.Write("package-lock.json", "two\n");
  (void)farm.repository.Commit("another lock");
  CHECK_FALSE(farm.BuildWriting("two").failure);
  CHECK(farm.found == Found{"one", ""});
  farm.repository.Write("package-lock.json", "one\n");
  (void)farm.repository.Commit("as before");
  CHECK_FALSE(farm.BuildWriting("three").failure);
  CHECK(farm.found == Found{"two", "one"});
}

TEST_CASE("Caches: a script that fails leaves tools' caches, and no folder", "[unit]") {
  Building farm;
  CHECK(farm.BuildWriting("half", 1).failure);
  CHECK_FALSE(farm.BuildWriting("whole").failure);
  CHECK(farm.found == Found{"half", ""});
}

TEST_CASE("Caches: of a build that is canceled nothing is kept", "[unit]") {
  Building farm;
  CHECK_FALSE(farm.BuildWriting("whole").failure);
  const auto canceled =
      farm.Build([](const Inside& inside) { inside.Write("half"); }, std::nullopt);
  REQUIRE(canceled.failure);
  CHECK(canceled.failure->reason == "CANCELED");
  CHECK(farm.found == Found{"whole", "whole"});
  CHECK_FALSE(farm.BuildWriting("again").failure);
  CHECK(farm.found == Found{"", ""});
}

TEST_CASE("Caches: of a build whose processes were killed nothing is kept, though it went well",
          "[unit]") {
  Building farm;
  CHECK_FALSE(farm.BuildWriting("whole").failure);
  init::StepResult ended = Ended(0);
  SECTION("left behind by the script") { ended.left_processes = true; }
  SECTION("out of memory") { ended.oom = init::OomState::kYes; }
  CHECK_FALSE(farm.Build([](const Inside& inside) { inside.Write("half"); }, ended).failure);
  CHECK(farm.found == Found{"whole", "whole"});
  CHECK_FALSE(farm.BuildWriting("again").failure);
  CHECK(farm.found == Found{"", ""});
}

TEST_CASE("Caches: together they take no more than half of what the build may write", "[unit]") {
  Building farm;
  const auto write = [](const Inside& inside) { inside.Write(std::string(3'000'000, 'x')); };
  CHECK_FALSE(farm.Build(write, Ended(0)).failure);
  REQUIRE(farm.caches->WaitUntilSettled(std::chrono::seconds(20)));
  farm.Declare("  npm: true\n  modules: {path: node_modules, key: package-lock.json}\n",
               ", limits: {disk: 8MiB}");
  CHECK_FALSE(farm.BuildWriting("small").failure);
  // One of the two is left out.
  CHECK(farm.found.first.empty() != farm.found.second.empty());
  CHECK_THAT(farm.log, Catch::Contains("miss (what was kept is too large)"));
}

TEST_CASE("Caches: what a build did not come to use is as it was", "[unit]") {
  Building farm;
  CHECK_FALSE(farm.BuildWriting("whole").failure);
  farm.engine.FailNext(testing::FakeContainerEngine::Op::kStart, absl::UnavailableError("busy"));
  CHECK(farm.BuildWriting("never").failure);
  CHECK_FALSE(farm.BuildWriting("again").failure);
  CHECK(farm.found == Found{"whole", "whole"});
}

TEST_CASE("Caches: a build told to begin without leaves its own in place of the kept ones",
          "[unit]") {
  Building farm;
  CHECK_FALSE(farm.BuildWriting("spoilt").failure);
  farm.no_caches = true;
  CHECK_FALSE(farm.BuildWriting("clean").failure);
  CHECK(farm.found == Found{"", ""});
  CHECK_THAT(farm.log, Catch::Contains("cache npm: empty (the build was asked to begin without)"));
  farm.no_caches = false;
  CHECK_FALSE(farm.BuildWriting("next").failure);
  CHECK(farm.found == Found{"clean", "clean"});
}

TEST_CASE("Caches: a script that somebody brought gets none and leaves none", "[unit]") {
  Building farm;
  CHECK_FALSE(farm.BuildWriting("whole").failure);
  farm.brought = BroughtScript{.name = "check.sh", .bytes = "#!/bin/sh\n"};
  CHECK_FALSE(farm.BuildWriting("planted").failure);
  CHECK(farm.found == Found{"", ""});
  farm.brought.reset();
  CHECK_FALSE(farm.BuildWriting("next").failure);
  CHECK(farm.found == Found{"whole", "whole"});
}

TEST_CASE("Caches: a missing file of the key ends the build before anything runs, by its name",
          "[unit]") {
  Building farm;
  farm.Declare("  modules: {path: node_modules, key: [package-lock.json, pnpm-lock.yaml]}\n");
  const auto result = farm.BuildWriting("x");
  REQUIRE(result.failure);
  CHECK(result.failure->klass == protocol::FailureClass::kBuild);
  CHECK(result.failure->reason == "FILE_UNKNOWN");
  CHECK_THAT(result.failure->message,
             Catch::Contains("cache modules") && Catch::Contains("is made from pnpm-lock.yaml"));
  CHECK(farm.inits.empty());
}

TEST_CASE("Caches: a folder that is in the commit, or behind a link of it, is refused", "[unit]") {
  Building farm;
  farm.repository.Write("vendor/file", "x");
  stdfs::create_directory_symlink("/etc", farm.repository.path() + "/link");
  const std::string path = GENERATE("vendor", "link", "link/modules", "build.sh/modules");
  INFO(path);
  farm.Declare("  modules: {path: " + path + ", key: package-lock.json}\n");
  const auto result = farm.BuildWriting("x");
  REQUIRE(result.failure);
  CHECK(result.failure->klass == protocol::FailureClass::kBuild);
  CHECK(result.failure->reason == "CACHE_PATH_TAKEN");
  CHECK_FALSE(result.failure->remedy_zh.empty());
  CHECK_THAT(result.failure->message, Catch::Contains(path));
}

TEST_CASE("Caches: a folder deep in the tree comes back there, without what was around it",
          "[unit]") {
  Building farm;
  farm.Declare("  modules: {path: app/deep/node_modules, key: package-lock.json}\n");
  const auto does = [](const Inside& inside) {
    WriteFile(inside.tree + "/dist/a", "x");
    WriteFile(inside.tree + "/app/deep/node_modules/file", "kept");
    WriteFile(inside.tree + "/app/beside", "x");
  };
  CHECK_FALSE(farm.Build(does, Ended(0)).failure);
  bool there = false;
  bool beside = true;
  struct stat parent {};
  CHECK_FALSE(farm.Build(
                      [&](const Inside& inside) {
                        there = stdfs::exists(inside.tree + "/app/deep/node_modules/file");
                        beside = stdfs::exists(inside.tree + "/app/beside");
                        (void)stat((inside.tree + "/app/deep").c_str(), &parent);
                        WriteFile(inside.tree + "/dist/a", "x");
                      },
                      Ended(0))
                  .failure);
  CHECK(there);
  CHECK_FALSE(beside);
  if (geteuid() == 0) CHECK(parent.st_uid == 1000);
}

TEST_CASE("Caches: an agent that is restarted behind its build tells the product as it was",
          "[unit]") {
  Building farm;
  farm.Declare("  modules: {path: dist/node_modules, key: package-lock.json}\n");
  {
    const std::lock_guard lock(farm.mu);
    farm.end = Ended(0);
    farm.act = [](const Inside& inside) {
      WriteFile(inside.tree + "/dist/app.js", "x");
      WriteFile(inside.tree + "/dist/node_modules/file", "x");
    };
  }
  const AttemptKey key{TaskId("task-1"), Attempt(1)};
  const agent::StartAttempt start{key, protocol::TaskKind::kBuild,
                                  "file://" + farm.repository.path()};
  farm.runner->Start(start);
  const auto first = farm.events.WaitResult(key);
  REQUIRE(first);
  REQUIRE(first->build);
  CHECK(first->build->artifact_files == 2);
  CHECK(farm.caches->ListKept().size() == 1);
  // Its result had not reached the journal.
  farm.Restart();
  farm.events.ForgetResults();
  farm.runner->Adopt({.key = key,
                      .kind = start.kind,
                      .spec = start.spec,
                      .phase = protocol::AttemptPhase::kRunning,
                      .publish_started = false});
  const auto second = farm.events.WaitResult(key);
  REQUIRE(second);
  REQUIRE(second->build);
  CHECK_FALSE(second->failure);
  CHECK(second->build->manifest == first->build->manifest);
  CHECK(second->build->artifact_files == 2);
  CHECK(farm.caches->ListKept().size() == 1);
}

TEST_CASE("Caches: a link that a script left in place of a folder leads nowhere", "[unit]") {
  Building farm;
  const std::string outside = farm.dir / "outside";
  WriteFile(outside + "/modules/file", "secret");
  farm.Declare(
      "  modules: {path: node_modules, key: package-lock.json}\n"
      "  deep: {path: app/modules, key: package-lock.json}\n");
  const auto linked = farm.Build(
      [&](const Inside& inside) {
        WriteFile(inside.tree + "/dist/a", "x");
        stdfs::create_directory_symlink(outside, inside.tree + "/node_modules");
        stdfs::create_directory_symlink(outside, inside.tree + "/app");
      },
      Ended(0));
  CHECK_FALSE(linked.failure);
  CHECK_THAT(farm.log,
             Catch::Contains("cache modules: not kept") && Catch::Contains("cache deep: not kept"));
  CHECK(farm.caches->ListKept().empty());
  CHECK(ReadFile(outside + "/modules/file") == "secret");
}

}  // namespace
}  // namespace slipway::runner
