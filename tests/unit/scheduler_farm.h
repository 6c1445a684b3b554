#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controller/scheduler/scheduler_core.h"

namespace slipway::scheduler {

inline constexpr Duration kOffer = std::chrono::seconds(10);
inline constexpr Duration kLease = std::chrono::seconds(60);
inline constexpr Duration kGrace = std::chrono::seconds(90);

inline ResultReported ReportOf(Origin from, AttemptKey key) {
  ResultReported event;
  event.from = std::move(from);
  event.key = std::move(key);
  return event;
}

// A core with its shell: every event is a batch of its own, committed with `answer`.
struct Farm {
  // Loaded long enough ago that the grace period is over.
  Farm() { core.Load({}, now - kGrace, WallTime((now - kGrace).time_since_epoch())); }

  static SchedulerOptions Options() {
    SchedulerOptions options;
    options.offer_timeout = kOffer;
    options.lease_ttl = kLease;
    options.grace = kGrace;
    options.standstill = std::chrono::seconds(300);
    options.retry_delay = std::chrono::seconds(1);
    return options;
  }

  void Do(const Event& event) {
    changes.clear();
    told.clear();
    replies.clear();
    dismissed.clear();
    taken.clear();
    core.Apply(event, now, wall());
    Commit();
  }
  void Commit() {
    while (core.HasWork()) {
      auto batch = core.TakeChanges();
      std::vector<absl::Status> statuses(batch.size(), absl::OkStatus());
      changes.insert(changes.end(), batch.begin(), batch.end());
      Take(core.OnCommitted(statuses, now, wall()));
    }
  }
  void Take(Effects effects) {
    for (auto& send : effects.sends) told.push_back(std::move(send));
    for (auto& reply : effects.replies) replies.push_back(std::move(reply));
    for (auto& gone : effects.dismissed) dismissed.push_back(std::move(gone));
    for (auto& over : effects.taken) taken.push_back(std::move(over));
  }
  [[nodiscard]] WallTime wall() const { return WallTime(now.time_since_epoch() + wall_ahead); }

  // With a Tick now and then, as the shell does.
  void Pass(Duration time) {
    changes.clear();
    told.clear();
    replies.clear();
    taken.clear();
    do {
      const Duration step = std::min<Duration>(time, std::chrono::seconds(100));
      now += step;
      time -= step;
      core.Apply(Tick{}, now, wall());
      Commit();
    } while (time > Duration::zero());
  }
  // Nothing happens for so long, not even a Tick.
  void StandStill(Duration time) {
    now += time;
    Do(Tick{});
  }

  static domain::Task Build(const std::string& id, const std::string& app = "app") {
    domain::Task task;
    task.id = TaskId(id);
    task.run = RunId("run-" + id);
    task.application = ApplicationId(app);
    return task;
  }
  static domain::Task Publish(const std::string& id, const std::string& build) {
    domain::Task task = Build(id);
    task.kind = domain::TaskKind::kPublish;
    task.state = domain::TaskState::kWaiting;
    task.depends_on = TaskId(build);
    return task;
  }
  void Submit(std::vector<domain::Task> tasks) {
    domain::Run run;
    run.id = tasks.front().run;
    Do(scheduler::Submit{Ticket(++ticket), run, std::move(tasks)});
  }
  void Connect(const std::string& agent, std::uint64_t session,
               std::vector<protocol::AttemptStatus> attempts = {}, std::uint32_t slots = 1,
               std::uint64_t sequence = 1) {
    protocol::Inventory inventory;
    inventory.sequence = sequence;
    inventory.slots = slots;
    inventory.attempts = std::move(attempts);
    Do(InventoryReceived{{AgentId(agent), SessionId(session)}, inventory});
  }
  void ConnectLabelled(const std::string& agent, std::uint64_t session, Labels labels,
                       bool draining = false) {
    protocol::Inventory inventory;
    inventory.sequence = ++label_sequence;
    inventory.slots = 1;
    inventory.draining = draining;
    inventory.labels = std::move(labels);
    Do(InventoryReceived{{AgentId(agent), SessionId(session)}, inventory, "name-" + agent});
  }
  // REQUIRES: an unfinished task.
  [[nodiscard]] Explanation Why(const std::string& task) const {
    auto why = core.Explain(TaskId(task), now, wall());
    REQUIRE(why.has_value());
    return *why;
  }
  // Offered and accepted: runs on agent `a`, session 1.
  void Run(const std::string& task, std::int64_t attempt = 1) {
    Do(Accepted{kA, Key(task, attempt)});
    REQUIRE(WantOf(Key(task, attempt)) == protocol::Want::kStart);
  }
  void Report(const std::string& task, std::int64_t attempt, protocol::FailureClass klass,
              Origin from = kA) {
    ResultReported event = ReportOf(std::move(from), Key(task, attempt));
    event.result.failure = protocol::Failure{};
    event.result.failure->klass = klass;
    event.log = LogState::kComplete;
    Do(event);
  }
  void Succeed(const std::string& task, std::int64_t attempt = 1) {
    ResultReported event = ReportOf(kA, Key(task, attempt));
    event.log = LogState::kComplete;
    event.release = domain::Release{};
    Do(event);
  }

  static AttemptKey Key(const std::string& task, std::int64_t attempt = 1) {
    return {TaskId(task), Attempt(attempt)};
  }
  // What the last event told an agent about this attempt.
  [[nodiscard]] std::optional<protocol::Want> WantOf(const AttemptKey& key) const {
    std::optional<protocol::Want> want;
    for (const Outgoing& out : told) {
      const auto* desired = std::get_if<protocol::Desired>(&out.body);
      if (desired == nullptr) continue;
      for (const auto& attempt : desired->attempts) {
        if (attempt.key == key) want = attempt.want;
      }
    }
    return want;
  }
  template <typename T>
  [[nodiscard]] const T* Changed() const {
    for (const auto& change : changes) {
      if (const auto* found = std::get_if<T>(&change)) return found;
    }
    return nullptr;
  }
  template <typename T>
  [[nodiscard]] const T* Told() const {
    for (const Outgoing& out : told) {
      if (const auto* found = std::get_if<T>(&out.body)) return found;
    }
    return nullptr;
  }
  [[nodiscard]] std::optional<domain::TaskState> Finished(const std::string& task) const {
    for (const auto& change : changes) {
      const auto* finish = std::get_if<store::FinishTask>(&change);
      if (finish != nullptr && finish->key.task == TaskId(task)) return finish->state;
    }
    return std::nullopt;
  }

  inline static const Origin kA{AgentId("a"), SessionId(1)};
  inline static const Origin kB{AgentId("b"), SessionId(2)};
  MonoTime now = MonoTime(std::chrono::seconds(1000));
  Duration wall_ahead{};  // what the wall clock was set forward by
  SchedulerCore core{Options()};
  std::uint64_t ticket = 0;
  std::uint64_t label_sequence = 100;
  std::vector<store::Change> changes;
  std::vector<Outgoing> told;
  std::vector<Reply> replies;
  std::vector<DismissedAgent> dismissed;
  std::vector<TakenResult> taken;
};

}  // namespace slipway::scheduler
