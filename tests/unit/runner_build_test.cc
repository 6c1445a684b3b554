#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "tests/support/fake_init.h"
#include "tests/support/git_fixture.h"
#include "tests/support/wait_until.h"
#include "tests/unit/runner_machine.h"

// What becomes of a build's container when its script has ended, or never began.
namespace slipway::runner {
namespace {

using testing::FakeContainerEngine;
using testing::FakeInit;
using testing::GitFixture;
using testing::WaitUntil;
using namespace std::chrono_literals;

const AttemptKey kBuild{TaskId("task-1"), Attempt(1)};

// Scripts that end as `script` says.
struct Building : Machine {
  explicit Building(const FakeInit::Script& script) : Machine({"file"}) {
    repository.Write("slipway.yaml",
                     "version: 1\nbuild: {image: \"node:1\", script: build.sh}\n"
                     "platforms: {weixin: {app_id: wx1, output: dist}}\n");
    repository.Write("build.sh", "exit 1\n");
    (void)repository.Commit("one");
    engine.AddImage("node:1");
    engine.OnStart(
        [this, script](const executor::ContainerId& id, const executor::ContainerSpec& spec) {
          for (const auto& bind : spec.binds) {
            if (bind.container_path != inside::kControl) continue;
            const std::lock_guard lock(mu);
            inits[id] = std::make_unique<FakeInit>(bind.host_path, script);
          }
          // What the Engine notes of containers that it took along when it ended.
          if (script.refuses_steps) engine.Exit(id, 255);
        });
  }
  // From now on the project has parameters.
  void Declare() {
    repository.Write("slipway.yaml",
                     "version: 1\nbuild: {image: \"node:1\", script: build.sh}\n"
                     "platforms: {weixin: {app_id: wx1, output: dist}}\n"
                     "parameters:\n"
                     "  entry: {type: choice, choices: [src/main.js, src/kiosk.js], "
                     "default: src/main.js}\n"
                     "  theme: {type: file, under: themes, default: themes/red.json}\n");
    repository.Write("themes/red.json", "{}");
    std::filesystem::create_symlink("/etc/passwd", repository.path() + "/themes/link");
    (void)repository.Commit("parameters");
  }
  std::optional<protocol::AttemptResult> Build() {
    runner->Start({kBuild, protocol::TaskKind::kBuild, "file://" + repository.path()});
    return events.WaitResult(kBuild);
  }
  [[nodiscard]] std::size_t Containers() const { return engine.containers().size(); }

  GitFixture repository{dir / "repository"};
  std::mutex mu;
  std::map<executor::ContainerId, std::unique_ptr<FakeInit>> inits;
};

init::StepResult Ended(int exit_code, bool left_processes = false) {
  init::StepResult result;
  result.exit_code = exit_code;
  result.left_processes = left_processes;
  return result;
}

TEST_CASE("Runner: a build's result does not wait until its container is removed", "[unit]") {
  Building machine({.end = Ended(1)});
  const auto result = machine.Build();
  REQUIRE(result);
  REQUIRE(result->failure);
  CHECK(result->failure->reason == "SCRIPT_FAILED");
  CHECK(machine.Containers() == 1);
  // The Engine is away: the tree is for the next build all the same.
  machine.engine.SetDown(true);
  machine.runner->Delete(kBuild);
  CHECK(WaitUntil([&] { return machine.trees->ListKept().size() == 1; }));
  CHECK(machine.Containers() == 1);
  machine.engine.SetDown(false);
  REQUIRE(machine.events.WaitDeleted(1));
  CHECK(machine.Containers() == 0);
}

TEST_CASE("Runner: a container is removed soon when nobody asks for its result", "[unit]") {
  Building machine({.end = Ended(1)});
  REQUIRE(machine.Build());
  CHECK(WaitUntil([&] { return machine.Containers() == 0; }, 10s));
}

TEST_CASE("Runner: a build that is canceled after its script leaves no container", "[unit]") {
  Building machine({.end = Ended(1)});
  REQUIRE(machine.Build());
  machine.runner->Cancel(kBuild);
  CHECK(WaitUntil([&] { return machine.Containers() == 0; }, 1s));
}

TEST_CASE("Runner: where a process had to be ended the container goes before anything is read",
          "[unit]") {
  Building machine({.end = Ended(1, /*left_processes=*/true)});
  REQUIRE(machine.Build());
  CHECK(machine.Containers() == 0);
}

TEST_CASE("Runner: a build gets its commit's parameters, the submitted ones and the defaults",
          "[unit]") {
  Building machine({.end = Ended(1)});
  machine.Declare();
  machine.parameters = {{"entry", "src/kiosk.js"}};
  const auto result = machine.Build();
  REQUIRE(result);
  REQUIRE(result->build);
  CHECK(result->build->parameters == std::map<std::string, std::string>{
                                         {"entry", "src/kiosk.js"}, {"theme", "themes/red.json"}});
  REQUIRE(result->failure);
  CHECK(result->failure->reason == "SCRIPT_FAILED");
}

TEST_CASE("Runner: a parameter that its commit does not allow ends a build before anything runs",
          "[unit]") {
  Building machine({.end = Ended(0)});
  machine.Declare();
  struct Case {
    std::map<std::string, std::string> parameters;
    std::string says;
  };
  const Case wrong =
      GENERATE(Case{{{"entry", "src/other.js"}},
                    "parameter entry: 'src/other.js' is not allowed; choose one of src/main.js"},
               Case{{{"theme", "themes/none.json"}}, "themes/none.json"},
               // A link leads out of the commit.
               Case{{{"theme", "themes/link"}}, "themes/link"},
               Case{{{"colour", "red"}}, "parameter 'colour' is not declared"});
  machine.parameters = wrong.parameters;
  const auto result = machine.Build();
  REQUIRE(result);
  REQUIRE(result->failure);
  CHECK(result->failure->klass == protocol::FailureClass::kBuild);
  CHECK(result->failure->reason == "PARAMETER_INVALID");
  CHECK_THAT(result->failure->message, Catch::Contains(wrong.says));
  CHECK(machine.Containers() == 0);
}

TEST_CASE("Runner: an Engine that ends before the script began is no fault of the script",
          "[unit]") {
  Building machine({.refuses_steps = true});
  const auto result = machine.Build();
  REQUIRE(result);
  REQUIRE(result->failure);
  CHECK(result->failure->klass == protocol::FailureClass::kAgentLost);
  CHECK(result->failure->reason == "ENGINE_RESTARTED");
}

}  // namespace
}  // namespace slipway::runner
