#pragma once

#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/status/status.h"
#include "controller/scheduler/scheduler.h"
#include "tests/support/in_memory_store.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"
#include "tests/unit/scheduler_fakes.h"

// A Scheduler with its thread, for tests of what the shell does around the core.
namespace slipway::scheduler {

inline const AgentId kAgent("agent-1");
inline const Origin kOrigin{kAgent, SessionId(1)};

inline domain::Run RunOf(const std::string& name) {
  domain::Run run;
  run.id = RunId("run-" + name);
  run.application = ApplicationId("app");
  run.application_name = "shop";
  run.submitted_by = "admin";
  run.request_id = name;
  return run;
}

inline std::vector<domain::Task> TasksOf(const std::string& name, bool publish = false) {
  domain::Task build;
  build.id = TaskId("task-" + name);
  build.run = RunId("run-" + name);
  build.application = ApplicationId("app");
  build.platform = "weixin";
  build.state = domain::TaskState::kQueued;
  std::vector<domain::Task> tasks{build};
  if (publish) {
    domain::Task after = build;
    after.id = TaskId("task-" + name + "-publish");
    after.kind = domain::TaskKind::kPublish;
    after.depends_on = build.id;
    after.state = domain::TaskState::kWaiting;
    tasks.push_back(after);
  }
  return tasks;
}

// A scheduler on an in-memory database, with one agent's session to be opened by Connect.
struct Farm {
  explicit Farm(Scheduler::Options options = {}) : store(database) {
    REQUIRE(store.BecomeLeader().ok());
    options.on_lost_leadership = [this](const absl::Status& status) { lost.set_value(status); };
    scheduler = std::make_unique<Scheduler>(std::move(options), store, orders, clock);
    REQUIRE_OK(scheduler->Start(sink));
  }
  ~Farm() {
    store.HoldCommits(false);
    orders.HoldSpecs(false);
    scheduler->Stop();
  }

  std::future<Reply> Submit(const std::string& name, bool publish = false) {
    auto promise = std::make_shared<std::promise<Reply>>();
    auto future = promise->get_future();
    scheduler->Submit(RunOf(name), TasksOf(name, publish),
                      [promise](const Reply& reply) { promise->set_value(reply); });
    return future;
  }
  static Reply Get(std::future<Reply> future) {
    REQUIRE(future.wait_for(seconds(10)) == std::future_status::ready);
    return future.get();
  }
  void Inventory(std::vector<protocol::AttemptStatus> attempts = {}) {
    scheduler->Post(InventoryReceived{
        kOrigin,
        {.sequence = ++sequence, .slots = 4, .labels = {}, .attempts = std::move(attempts)}});
  }
  // Submits, offers, accepts: the attempt that the agent was told to start.
  protocol::DesiredAttempt StartBuild(const std::string& name, bool publish = false) {
    Inventory();
    REQUIRE_OK(Get(Submit(name, publish)).status);
    return Accept();
  }
  protocol::DesiredAttempt Accept() {
    const auto offer = sink.WaitWant(protocol::Want::kOffer);
    REQUIRE(offer);
    scheduler->Post(Accepted{kOrigin, offer->key});
    const auto start = sink.WaitWant(protocol::Want::kStart);
    REQUIRE(start);
    return *start;
  }
  void Report(const AttemptKey& key, const Origin& from = kOrigin) {
    ResultReported event;
    event.from = from;
    event.key = key;
    event.result.build.emplace();
    scheduler->Post(std::move(event));
  }

  SystemClock clock;
  testing::InMemoryDatabase database;
  HeldStore store;
  FakeOrders orders;
  FakeSink sink;
  std::promise<absl::Status> lost;
  std::uint64_t sequence = 0;
  std::unique_ptr<Scheduler> scheduler;
};

}  // namespace slipway::scheduler
