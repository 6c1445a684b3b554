#include "agent/executor/reaper.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "agent/executor/labels.h"
#include "tests/support/fake_container_engine.h"
#include "tests/support/status_matchers.h"

namespace slipway::executor {
namespace {

using namespace std::chrono_literals;
using testing::FakeContainerEngine;
using testing::StatusIs;

const Owner kOwner{.farm = FarmId("farm-1"), .agent = AgentId("agent-1")};

Labels Own(const std::string& task, const std::string& attempt) {
  return {{kLabelFarm, "farm-1"},
          {kLabelAgent, "agent-1"},
          {kLabelTask, task},
          {kLabelAttempt, attempt}};
}

TEST_CASE("Reaper: the containers of an attempt no longer held are removed, others stay",
          "[unit][executor]") {
  FakeContainerEngine engine;
  const ContainerId held = engine.AddContainer("held", Own("task-1", "2"));
  const ContainerId superseded = engine.AddContainer("superseded", Own("task-1", "1"));
  const ContainerId unreadable = engine.AddContainer("unreadable", Own("task-1", "2x"));
  const ContainerId warm = engine.AddContainer("warm", Own("", ""));
  const ContainerId forgotten = engine.AddContainer("forgotten", Own("", ""));
  const Keep keep{.attempts = {{TaskId("task-1"), Attempt(2)}}, .containers = {warm}};

  const auto report = Reap(
      engine, kOwner, [&] { return keep; }, 1s);
  REQUIRE_OK(report);
  CHECK(report->removed == std::vector{superseded, unreadable, forgotten});
  CHECK(report->failed.empty());
  CHECK(engine.containers() == std::vector{held, warm});
}

TEST_CASE("Reaper: a container that lends its network to one that is kept stays",
          "[unit][executor]") {
  FakeContainerEngine engine;
  const ContainerId lender = engine.AddContainer("lender", Own("", ""));
  const ContainerId unused = engine.AddContainer("unused", Own("", ""));
  Labels joined = Own("task-1", "1");
  joined[kLabelNetwork] = "lender";
  const ContainerId held = engine.AddContainer("held", joined);
  Labels gone = Own("task-2", "1");
  gone[kLabelNetwork] = "unused";
  const ContainerId left = engine.AddContainer("left", gone);
  const Keep keep{.attempts = {{TaskId("task-1"), Attempt(1)}}, .containers = {}};
  REQUIRE_OK(Reap(
                 engine, kOwner, [&] { return keep; }, 1s)
                 .status());
  CHECK(engine.containers() == std::vector{lender, held});
}

TEST_CASE("Reaper: what lacks one of the two labels is never touched", "[unit][executor]") {
  std::vector<ContainerSummary> found;
  const auto add = [&](Labels labels) {
    found.push_back({.id = ContainerId(std::to_string(found.size())),
                     .name = "c",
                     .labels = std::move(labels),
                     .status = ContainerStatus::kExited});
  };
  add({});
  add({{kLabelFarm, "farm-1"}});
  add({{kLabelAgent, "agent-1"}});
  add({{kLabelFarm, "farm-1"}, {kLabelAgent, "agent-2"}});
  add({{kLabelFarm, "farm-2"}, {kLabelAgent, "agent-1"}});
  add({{kLabelFarm, ""}, {kLabelAgent, ""}});
  CHECK(LeftOver(found, kOwner, {}).empty());
  CHECK(LeftOver(found, Owner{}, {}).empty());
}

TEST_CASE("Reaper: an attempt begun after the listing is not taken for left over",
          "[unit][executor]") {
  FakeContainerEngine engine;
  Keep keep;
  ContainerId begun;
  const auto report = Reap(
      engine, kOwner,
      [&] {
        // Whoever asks for `keep` first and lists then would remove this one.
        keep.attempts.insert({TaskId("task-9"), Attempt(1)});
        begun = engine.AddContainer("begun", Own("task-9", "1"));
        return Keep{};
      },
      1s);
  REQUIRE_OK(report);
  CHECK(report->removed.empty());
  CHECK(engine.containers() == std::vector{begun});
}

TEST_CASE("Reaper: one container that resists does not save the others", "[unit][executor]") {
  FakeContainerEngine engine;
  const ContainerId first = engine.AddContainer("first", Own("task-1", "1"));
  const ContainerId second = engine.AddContainer("second", Own("task-2", "1"));
  engine.FailNext(FakeContainerEngine::Op::kRemove, absl::AbortedError("device busy"));
  const auto report = Reap(
      engine, kOwner, [] { return Keep{}; }, 1s);
  REQUIRE_OK(report);
  CHECK(report->removed == std::vector{second});
  REQUIRE(report->failed.size() == 1);
  CHECK(report->failed[0].first == first);
  CHECK_THAT(report->failed[0].second, StatusIs(absl::StatusCode::kAborted, "device busy"));
}

TEST_CASE("Reaper: without an Engine it says so and removes nothing", "[unit][executor]") {
  FakeContainerEngine engine;
  engine.AddContainer("first", Own("task-1", "1"));
  engine.SetDown(true);
  const auto report = Reap(
      engine, kOwner, [] { return Keep{}; }, 1s);
  CHECK_THAT(report.status(), StatusIs(absl::StatusCode::kUnavailable, "NO_DOCKER_ENGINE"));
  CHECK(engine.containers().size() == 1);
}

}  // namespace
}  // namespace slipway::executor
