// What one decision about a lease costs while LEASES builds run: an inventory that renews the
// lease, the end of a lease (the build goes back to the queue and is offered elsewhere), and a
// submit with its offer. Prints the name, the leases and nanoseconds per decision, a line each.
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "controller/scheduler/scheduler_core.h"

namespace slipway::scheduler {
namespace {

using std::chrono::seconds;

constexpr int kApplications = 50;
constexpr int kRequirementSets = 20;
constexpr int kDecisions = 20'000;

// A core whose changes are always stored.
class Farm {
 public:
  explicit Farm(int leases) : core_(OptionsFor(leases)) {
    core_.Load({}, now_, Wall());
    for (int i = 0; i < leases; ++i) {
      Connect(i, {});
      Submit(i, i % kRequirementSets);
      Do(Accepted{From(i), Key(i, 1)});
      running_.push_back({.key = Key(i, 1),
                          .kind = domain::TaskKind::kBuild,
                          .phase = protocol::AttemptPhase::kRunning});
    }
  }

  void Renew(int i) {
    now_ += std::chrono::microseconds(10);
    Connect(i, {running_[static_cast<std::size_t>(i)]});
  }
  // All agents fall silent until their leases are about to end. Time passes in steps: after a gap
  // in which it was not asked the core gives everybody the grace period.
  void FallSilent() {
    const MonoTime end = now_ + OptionsFor(0).lease_ttl - seconds(2);
    for (; now_ < end; now_ += seconds(1)) Do(Tick{});
  }
  // One batch ends every lease.
  void ExpireAll() {
    now_ += seconds(3);
    Do(Tick{});
  }
  // A task that the one agent with room takes, and its end.
  void SubmitAndFinish(int i) {
    Submit(i, 0);
    Do(Cancel{Ticket(1), TaskId(Name(i)), "bench", ""});
  }
  void ConnectIdle(int i) { Connect(i, {}); }
  [[nodiscard]] std::size_t changes() const { return changes_; }

 private:
  static SchedulerOptions OptionsFor(int leases) {
    SchedulerOptions options;
    options.max_unfinished = static_cast<std::size_t>(leases) + 10;
    options.lease_ttl = std::chrono::minutes(30);
    return options;
  }
  static std::string Name(int i) { return "task-" + std::to_string(i); }
  static AttemptKey Key(int i, int attempt) { return {TaskId(Name(i)), Attempt(attempt)}; }
  static Origin From(int i) {
    return {AgentId("agent-" + std::to_string(i)), SessionId(static_cast<std::uint64_t>(i) + 1)};
  }
  static Labels LabelsOf(int set) { return {{"executor", "docker"}, {"set", std::to_string(set)}}; }
  [[nodiscard]] WallTime Wall() const { return WallTime(now_.time_since_epoch()); }

  void Connect(int i, std::vector<protocol::AttemptStatus> attempts) {
    protocol::Inventory inventory;
    inventory.sequence = ++sequence_;
    inventory.slots = 1;
    inventory.labels = LabelsOf(i % kRequirementSets);
    inventory.attempts = std::move(attempts);
    Do(InventoryReceived{From(i), std::move(inventory), ""});
  }
  void Submit(int i, int set) {
    domain::Task task;
    task.id = TaskId(Name(i));
    task.run = RunId("run-" + std::to_string(i));
    task.application = ApplicationId("app-" + std::to_string(i % kApplications));
    task.requirements = LabelsOf(set);
    domain::Run run;
    run.id = task.run;
    run.submitted_by = "bench";
    Do(scheduler::Submit{Ticket(1), run, {task}});
  }
  void Do(const Event& event) {
    core_.Apply(event, now_, Wall());
    while (core_.HasWork()) {
      const auto changes = core_.TakeChanges();
      changes_ += changes.size();
      static_cast<void>(core_.OnCommitted(std::vector<absl::Status>(changes.size()), now_, Wall()));
    }
  }

  MonoTime now_ = MonoTime(seconds(1000));
  SchedulerCore core_;
  std::uint64_t sequence_ = 0;
  std::size_t changes_ = 0;
  std::vector<protocol::AttemptStatus> running_;
};

template <typename Work>
void Measure(const char* name, int leases, int decisions, Work work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
  fmt::print("{} {} {:.0f}\n", name, leases, took.count() / decisions);
}

void Run(int leases) {
  Farm farm(leases);
  Measure("renew", leases, kDecisions, [&] {
    // A step that shares no factor with the leases, so that neighbours do not follow each other.
    std::int64_t agent = 0;
    for (int i = 0; i < kDecisions; ++i) {
      agent = (agent + 7919) % leases;
      farm.Renew(static_cast<int>(agent));
    }
  });
  farm.ConnectIdle(leases * kRequirementSets);
  Measure("submit", leases, kDecisions, [&] {
    for (int i = 0; i < kDecisions; ++i) farm.SubmitAndFinish(leases + i);
  });
  farm.FallSilent();
  const std::size_t before = farm.changes();
  Measure("expire", leases, leases, [&] { farm.ExpireAll(); });
  if (farm.changes() < before + static_cast<std::size_t>(leases)) {
    fmt::print(stderr, "not every lease ended\n");
    std::exit(1);
  }
}

}  // namespace
}  // namespace slipway::scheduler

int main(int argc, char** argv) {
  const int leases = argc == 2 ? std::atoi(argv[1]) : 0;
  if (leases < 1 || leases % 7919 == 0) {
    fmt::print(stderr, "usage: scheduler_bench LEASES\n");
    return 2;
  }
  slipway::scheduler::Run(leases);
}
