#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "controller/domain/task.h"
#include "controller/scheduler/deadlines.h"
#include "controller/scheduler/scheduler_core.h"
#include "controller/scheduler/task_queue.h"

// Private to the scheduler library.
namespace slipway::scheduler {

// Moment of one entry into the core.
struct Moment {
  MonoTime now;
  WallTime wall;
};

class SchedulerCore::Impl {
 public:
  explicit Impl(SchedulerOptions options) : options_(options) {}

  // Batches (scheduler_core.cc).
  void Load(store::Unfinished unfinished, Moment at);
  void Apply(const Event& event, Moment at);
  [[nodiscard]] bool HasWork() const;
  std::vector<store::Change> TakeChanges();
  Effects OnCommitted(const std::vector<absl::Status>& statuses, Moment at);
  Effects OnInDoubt();

  // Views (scheduler_views.cc).
  [[nodiscard]] std::optional<MonoTime> NextDeadline() const;
  [[nodiscard]] bool IsCurrent(const AgentId& agent, const AttemptKey& key) const;
  [[nodiscard]] std::string WhyWaiting(const TaskId& task) const;
  [[nodiscard]] std::vector<AgentView> Agents() const;
  [[nodiscard]] std::size_t unfinished() const { return tasks_.size(); }
  [[nodiscard]] bool loaded() const { return loaded_; }

 private:
  struct Entry {
    domain::Task task;  // without its result
    std::uint64_t order = 0;
    // Times that an attempt of it was started, as far as this core knows.
    int starts = 0;
    // Inventories in a row, while it was running, that did not list it.
    int absent = 0;
    bool waits_for_retry = false;
    std::optional<domain::PublishPermit> permit;
    // The step that is open, to store its start again with its end.
    std::uint32_t step_number = 0;
    WallTime step_started_at;
  };
  struct Agent {
    std::optional<SessionId> session;
    SessionId last_session;
    // An inventory came since the session opened, the core was loaded, or the lease ended.
    bool fresh = false;
    bool draining = false;
    bool paused = false;
    // Well enough for new work, by its own word.
    bool takes_work = true;
    std::uint32_t slots = 0;
    Labels labels;
    std::set<TaskId> held;  // tasks offered to it or running on it
  };
  enum class Due { kLease, kPause, kTask };
  using DueKey = std::pair<Due, std::string>;

  struct PendingSubmit {
    std::size_t change = 0;  // index of its CreateRun
    Ticket ticket;
    RunId run;
    std::vector<domain::Task> tasks;
  };
  struct Batch {
    std::vector<store::Change> changes;
    std::vector<PendingSubmit> submits;
    Effects effects;
    [[nodiscard]] bool empty() const {
      return changes.empty() && effects.replies.empty() && effects.sends.empty() &&
             effects.changed.empty() && effects.taken.empty();
    }
  };

  // People (scheduler_core.cc).
  void On(const Submit& event, Moment at);
  void On(const Cancel& event, Moment at);
  void On(const Tick& event, Moment at);
  void On(const Resolve& event, Moment at);
  void Admit(domain::Task task);

  // Agents (agent_events.cc).
  void On(const InventoryReceived& event, Moment at);
  void On(const SessionClosed& event, Moment at);
  void On(const Accepted& event, Moment at);
  void On(const Refused& event, Moment at);
  void On(const StepReported& event, Moment at);
  void On(const ResultReported& event, Moment at);
  void On(const PermitRequested& event, Moment at);
  protocol::DesiredAttempt WantFor(const AgentId& agent, const protocol::AttemptStatus& status,
                                   Moment at);
  void NoteAbsent(const AgentId& agent, const std::set<TaskId>& listed, protocol::Desired& answer,
                  Moment at);
  void TakeFailure(Entry& entry, const ResultReported& event, protocol::AttemptResult result,
                   Moment at);
  void ExpireLease(const AgentId& id, Moment at);
  void ForgiveStandstill(Moment at);

  // Publishes of unknown outcome (resolutions.cc).
  absl::Status Settle(const Resolve& event, Moment at);
  // Nothing can be published any more from then on.
  [[nodiscard]] WallTime QuietFrom(const Entry& entry) const;
  // The attempt's own word comes after somebody else's.
  void TakeLate(const ResultReported& event, Moment at);
  // nullptr: `key` is no resolved attempt of this agent whose word is still out.
  [[nodiscard]] const domain::OpenResolution* Resolved(const AgentId& agent,
                                                       const AttemptKey& key) const;

  // Transitions (transitions.cc). Each makes the change and moves the memory along.
  void Dispatch(Moment at);
  void Start(Entry& entry, Moment at);
  void Requeue(Entry& entry, const std::string& why, Duration delay, Moment at);
  void Finish(Entry& entry, const std::string& actor, domain::TaskState state,
              std::optional<protocol::AttemptResult> result, std::optional<domain::Release> release,
              Moment at);
  void FinishWith(Entry& entry, store::FinishTask change, Moment at);
  // `reported`: the attempt itself says so, and says no more.
  void MarkUnknown(Entry& entry, protocol::AttemptResult result, bool reported, Moment at);
  // The attempt is gone together with its agent, or the agent no longer knows of it.
  void Lose(Entry& entry, const std::string& why, Moment at);
  void Enqueue(Entry& entry);
  void LeaveAgent(Entry& entry);
  void UpdateRoom(const AgentId& id);
  void SettleDependents(const Entry& entry, bool succeeded, Moment at);

  Entry* Find(const TaskId& task);
  // The entry if `key` is its current attempt and `from` the agent that holds it, else nullptr.
  Entry* Current(const Origin& from, const AttemptKey& key);
  // False: the session is not the agent's current one.
  bool Listening(const Origin& from) const;
  void Send(const AgentId& agent, decltype(Outgoing::body) body);
  void Push(const AgentId& agent, const AttemptKey& key, protocol::TaskKind kind,
            protocol::Want want);
  void Changed(const TaskId& task);
  void Forget();

  // What a task waits for before it is offered; a probe is about a publish and waits for nothing.
  static TaskId Awaited(const domain::Task& task) {
    return task.kind == domain::TaskKind::kProbe ? TaskId() : task.depends_on;
  }
  static AttemptKey KeyOf(const Entry& entry) { return {entry.task.id, entry.task.attempt}; }
  static store::Cause SchedulerCause(Moment at) { return {"scheduler", at.wall}; }

  // Constant after construction.
  const SchedulerOptions options_;

  // Confined to the owner's mutex.
  bool loaded_ = false;
  std::uint64_t last_order_ = 0;
  std::map<TaskId, Entry> tasks_;
  std::map<TaskId, std::set<TaskId>> dependents_;  // by the unfinished task they depend on
  std::map<AgentId, Agent> agents_;
  std::map<TaskId, domain::OpenResolution> resolved_;
  TaskQueue queue_;
  Deadlines<DueKey> due_;
  Batch open_;                       // what the events since the last TakeChanges came to
  std::optional<Batch> committing_;  // taken and not yet decided
};

}  // namespace slipway::scheduler
