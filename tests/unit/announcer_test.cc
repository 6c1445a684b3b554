#include "controller/scheduler/announcer.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/wait_until.h"
#include "tests/unit/scheduler_fakes.h"

namespace slipway::scheduler {
namespace {

using testing::WaitUntil;

const AgentId kAgent("agent-1");

Effects Changed(const std::string& task) {
  Effects effects;
  effects.changed = {TaskId(task)};
  return effects;
}

// What tells an agent to start the task, which needs its specification.
Effects Starts(const std::string& task) {
  protocol::Desired desired{.answers = 0, .attempts = {}, .sync_after = Duration::max()};
  desired.attempts.push_back({.key = {TaskId(task), Attempt(1)},
                              .kind = domain::TaskKind::kBuild,
                              .want = protocol::Want::kStart,
                              .spec = {}});
  Effects effects = Changed(task);
  effects.sends.push_back({kAgent, SessionId(1), std::move(desired)});
  effects.replies.push_back({Ticket(1), absl::OkStatus(), RunId("run-" + task)});
  return effects;
}

struct World {
  World() { announcer.Start(sink); }
  ~World() { orders.HoldSpecs(false); }

  std::vector<std::string> told() {
    const std::lock_guard lock(orders.mu);
    std::vector<std::string> names;
    for (const TaskId& task : orders.changed) names.push_back(task.value());
    return names;
  }

  FakeOrders orders;
  FakeSink sink;
  std::atomic<int> replies = 0;
  Announcer announcer{orders, [this](const Reply&) { ++replies; }};
};

TEST_CASE("Announcer: batches are told in their order, while others come", "[unit]") {
  World world;
  world.orders.HoldSpecs(true);
  world.announcer.Tell(Starts("a"));
  REQUIRE(world.orders.WaitSpecsAsked(1));
  world.announcer.Tell(Changed("b"));
  world.announcer.Tell(Changed("c"));
  CHECK(world.replies == 1);
  CHECK(world.told().empty());
  world.orders.HoldSpecs(false);
  world.announcer.Drain([] {});
  CHECK(world.told() == std::vector<std::string>{"a", "b", "c"});
  const auto start = world.sink.WaitWant(protocol::Want::kStart);
  REQUIRE(start);
  CHECK(start->spec == "spec of a");
}

TEST_CASE("Announcer: whoever tells waits when too much is untold", "[unit]") {
  World world;
  world.orders.HoldSpecs(true);
  std::atomic<int> taken = 0;
  std::thread teller([&] {
    for (int i = 0; i < 20; ++i) {
      world.announcer.Tell(Starts(std::to_string(i)));
      ++taken;
    }
  });
  REQUIRE(WaitUntil([&] { return taken == 5; }));
  CHECK(world.orders.WaitSpecsAsked(1));
  CHECK(taken < 20);
  world.orders.HoldSpecs(false);
  teller.join();
  world.announcer.Drain([] {});
  CHECK(world.told().size() == 20);
}

TEST_CASE("Announcer: hushed, it gives its answers and tells agents nothing", "[unit]") {
  World world;
  world.orders.HoldSpecs(true);
  world.announcer.Tell(Starts("a"));
  REQUIRE(world.orders.WaitSpecsAsked(1));
  world.announcer.Tell(Starts("b"));
  world.announcer.Hush();
  world.orders.HoldSpecs(false);
  world.announcer.Drain([] {});
  CHECK(world.replies == 2);
  CHECK(world.told() == std::vector<std::string>{"a", "b"});
  // That of the first was being made.
  CHECK(world.sink.size() == 1);
  const std::lock_guard lock(world.orders.mu);
  CHECK(world.orders.specs_asked == 1);
}

TEST_CASE("Announcer: what was taken is told before it stops", "[unit]") {
  World world;
  world.orders.HoldSpecs(true);
  world.announcer.Tell(Starts("a"));
  world.announcer.Tell(Starts("b"));
  REQUIRE(world.orders.WaitSpecsAsked(1));
  std::thread stopper([&] { world.announcer.Stop(); });
  world.orders.HoldSpecs(false);
  stopper.join();
  CHECK(world.replies == 2);
  CHECK(world.told() == std::vector<std::string>{"a", "b"});
}

}  // namespace
}  // namespace slipway::scheduler
