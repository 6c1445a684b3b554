#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/initlink/control_dir.h"
#include "agent/runner/progress.h"
#include "agent/workspace/work_trees.h"
#include "common/git/mirror_cache.h"
#include "common/loghash/segment_hasher.h"
#include "tests/support/fake_container_engine.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"
#include "tests/unit/runner_machine.h"

namespace slipway::runner {
namespace {

using testing::FakeContainerEngine;

TEST_CASE("Runner: attempts run, are read, canceled and deleted at the same time", "[unit]") {
  constexpr std::size_t kAttempts = 8;
  Machine machine;
  std::vector<AttemptKey> keys;
  for (std::size_t i = 0; i < kAttempts; ++i) {
    keys.push_back({TaskId("task-" + std::to_string(i)), Attempt(1)});
  }
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&] {
      while (!stop) {
        for (const AttemptKey& key : keys) {
          (void)machine.LogOf(key);
          (void)machine.runner->LogMarks(key, 0, 100);
        }
      }
    });
  }
  for (const AttemptKey& key : keys) {
    // A scheme that no operator allowed: it ends before git is asked.
    machine.runner->Start({key, protocol::TaskKind::kBuild, "file:///nowhere"});
  }
  for (std::size_t i = 0; i < kAttempts; i += 2) machine.runner->Cancel(keys[i]);
  const bool ended = machine.events.WaitResults(kAttempts);
  std::map<AttemptKey, std::string> logs;
  for (const AttemptKey& key : keys) logs[key] = machine.LogOf(key);
  for (const AttemptKey& key : keys) machine.runner->Delete(key);
  const bool deleted = machine.events.WaitDeleted(kAttempts);
  for (const AttemptKey& key : keys) machine.runner->Forget(key);
  stop = true;
  for (std::thread& reader : readers) reader.join();

  REQUIRE(ended);
  REQUIRE(deleted);
  for (const auto& [key, result] : machine.events.results()) {
    INFO(key.task.value());
    REQUIRE(result.failure);
    CHECK((result.failure->reason == "REPOSITORY_URL_INVALID" ||
           result.failure->reason == "CANCELED"));
    CHECK(result.log.size == logs[key].size());
    CHECK(result.log.root == loghash::RootOf(logs[key]));
    char byte = 0;
    CHECK(machine.runner->ReadLog(key, 0, &byte, 1).status().code() == absl::StatusCode::kNotFound);
  }
  CHECK(machine.runner->Stop(std::chrono::seconds(10)));
}

const AttemptKey kPublish{TaskId("publish"), Attempt(1)};

// A publish of an earlier process: its container, its log, and progress that cannot be read.
struct UnreadablePublish : Machine {
  UnreadablePublish() {
    const std::string path = dir / "data/attempts/publish-1";
    std::filesystem::create_directories(path + "/progress");
    auto control = initlink::ControlDir::Prepare(path);
    REQUIRE_OK(control);
    testing::WriteFile(path + "/control/log", "in the client\n");
    container =
        engine.AddContainer(ContainerName({FarmId("farm"), AgentId("agent")}, kPublish), {});
  }

  void Adopt(protocol::AttemptPhase phase = protocol::AttemptPhase::kRunning,
             std::uint64_t log_end = 0) {
    runner->Adopt({.key = kPublish,
                   .kind = protocol::TaskKind::kPublish,
                   .spec = "publish",
                   .phase = phase,
                   .publish_started = true,
                   .log_end = log_end});
  }
  // How often the container was looked at: each time it was not taken up.
  bool WaitTries(std::ptrdiff_t n) {
    return testing::WaitUntil([&] {
      const auto calls = engine.calls();
      return std::count_if(calls.begin(), calls.end(), [](const auto& call) {
               return call.op == FakeContainerEngine::Op::kInspect;
             }) >= n;
    });
  }

  executor::ContainerId container;
};

TEST_CASE("Runner: a publish that cannot be taken up is tried again while its container is there",
          "[unit]") {
  UnreadablePublish machine;
  machine.Adopt();
  const bool tried_again = machine.WaitTries(2);
  CHECK(tried_again);
  CHECK_FALSE(machine.events.anything_of(kPublish));
  CHECK(machine.engine.containers().size() == 1);
  machine.engine.Disappear(machine.container);
  const auto given_up = machine.events.WaitGivenUp();
  REQUIRE(given_up);
  CHECK(given_up->failure.klass == protocol::FailureClass::kInfrastructure);
  CHECK(given_up->client_ended);
  CHECK(given_up->log.size == 14);
  CHECK(given_up->log.missing == 0);
  CHECK(given_up->log.root == loghash::RootOf("in the client\n"));
  CHECK(machine.events.results().empty());
}

TEST_CASE("Runner: a cancel ends a publish that cannot be taken up", "[unit]") {
  UnreadablePublish machine;
  machine.Adopt();
  CHECK(machine.WaitTries(1));
  machine.runner->Cancel(kPublish);
  const auto given_up = machine.events.WaitGivenUp();
  REQUIRE(given_up);
  CHECK(given_up->client_ended);
  CHECK(machine.engine.containers().empty());
}

TEST_CASE("Runner: to take a publish up needs no room on the disk", "[unit]") {
  UnreadablePublish machine;
  const std::string path = machine.dir / "data/attempts/publish-1";
  std::filesystem::remove(path + "/progress");
  REQUIRE_OK(SaveProgress(path,
                          {.started_at = FromUnixMicros(5),
                           .commit = "",
                           .container = machine.container.value(),
                           .image_id = "",
                           .step_started_at = FromUnixMicros(7)},
                          Survives::kMachine));
  // As on a full disk: nothing can be saved.
  std::filesystem::create_directory(path + "/progress.new");
  machine.engine.Exit(machine.container, 1);
  machine.Adopt();
  // Its end was looked for and not found: that it could not be looked for would be another event.
  CHECK(machine.events.WaitVanished());
  CHECK_FALSE(machine.events.anything_of(kPublish));
}

TEST_CASE("Runner: a finished attempt whose log has lost its end says so, with what is left",
          "[unit]") {
  UnreadablePublish machine;
  machine.engine.Disappear(machine.container);
  machine.Adopt(protocol::AttemptPhase::kFinished, 20);
  const auto given_up = machine.events.WaitGivenUp();
  REQUIRE(given_up);
  CHECK(given_up->log.size == 14);
}

TEST_CASE("Runner: an attempt whose log cannot be opened says that all of it is missing",
          "[unit]") {
  UnreadablePublish machine;
  std::filesystem::remove(machine.dir / "data/attempts/publish-1/control.id");
  testing::WriteFile(machine.dir / "data/attempts/publish-1/control.id", "nonsense");
  machine.engine.Disappear(machine.container);
  machine.Adopt();
  const auto given_up = machine.events.WaitGivenUp();
  REQUIRE(given_up);
  CHECK(given_up->log.size == 14);
  CHECK(given_up->log.missing == 14);
}

}  // namespace
}  // namespace slipway::runner
