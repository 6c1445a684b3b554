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
#include "controller/domain/authority.h"
#include "controller/domain/task.h"
#include "controller/scheduler/agent_roster.h"
#include "controller/scheduler/concurrency_groups.h"
#include "controller/scheduler/deadlines.h"
#include "controller/scheduler/retry_policy.h"
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
  Effects OnNotStored(const absl::Status& why);
  Effects OnInDoubt();

  // Views (scheduler_views.cc).
  [[nodiscard]] std::optional<MonoTime> NextDeadline() const;
  [[nodiscard]] bool IsCurrent(const AgentId& agent, const AttemptKey& key) const;
  [[nodiscard]] std::vector<AgentView> Agents() const;
  [[nodiscard]] std::vector<Labels> Takers() const;
  [[nodiscard]] std::optional<Explanation> Explain(const TaskId& id,
                                                   Moment at) const;         // explain.cc
  [[nodiscard]] absl::Status CheckQuiet(const TaskId& id, Moment at) const;  // resolutions.cc
  [[nodiscard]] std::size_t unfinished() const { return tasks_.size(); }
  [[nodiscard]] std::size_t queued() const { return queue_.size(); }
  [[nodiscard]] bool loaded() const { return loaded_; }

 private:
  struct Entry {
    domain::Task task;  // without its result
    std::string submitter;
    std::uint64_t order = 0;
    std::optional<domain::Group> group;
    // When its wait for an agent has lasted too long; not set while it runs or may wait for ever.
    std::optional<MonoTime> wait_end;
    // Inventories in a row, while it was running, that did not list it.
    int absent = 0;
    bool waits_for_retry = false;
    std::optional<domain::PublishPermit> permit;
    // When the attempt started; MonoTime::min(): before the last Load.
    MonoTime started = MonoTime::min();
    // The step that is open, to store its start again with its end.
    std::uint32_t step_number = 0;
    WallTime step_started_at;
  };
  struct Agent {
    std::string name;
    std::optional<SessionId> session;
    SessionId last_session;
    // An inventory came since the session opened, the core was loaded, or the lease ended.
    bool fresh = false;
    bool draining = false;
    bool refused = false;    // an offer, a moment ago
    bool takes_work = true;  // well enough for it, by its own word
    std::uint32_t slots = 0;
    std::size_t reported = 0;  // attempts of the last inventory
    Labels labels;
    std::set<TaskId> held;  // tasks offered to it or running on it
  };
  // kTask: the end of an offer or of a pause; kWait: Entry::wait_end; kNobody: the end of the grace
  // of a task that no agent could run; kRetirement: the end of the grace of a retiring agent.
  enum class Due { kLease, kRefusal, kAvailability, kRetirement, kTask, kWait, kNobody };
  using DueKey = std::pair<Due, std::string>;

  // A permit by the steady clock.
  struct PermitTimes {
    std::string nonce;
    MonoTime end;                             // or later, if it was granted before the first Load
    MonoTime client_ended = MonoTime::max();  // max: not known
  };

  struct PendingSubmit {
    std::size_t change = 0;  // index of its CreateRun
    Ticket ticket;
    RunId run;
    std::string submitter;
    std::vector<domain::Task> tasks;
  };
  struct PendingAvailability {
    std::size_t change = 0;  // index of its SetAvailability
    std::optional<Ticket> ticket;
    AgentId agent;
    domain::Availability availability;
  };
  struct Batch {
    std::vector<store::Change> changes;
    std::vector<PendingSubmit> submits;
    std::vector<PendingAvailability> wishes;
    Effects effects;
    std::set<TaskId> changed;  // what effects.changed lists
    [[nodiscard]] bool empty() const {
      return changes.empty() && effects.replies.empty() && effects.sends.empty() &&
             effects.changed.empty() && effects.taken.empty() && effects.dismissed.empty();
    }
  };

  // People (scheduler_core.cc, availability.cc).
  void On(const Submit& event, Moment at);
  void On(const Cancel& event, Moment at);
  void On(const ChangeAgent& event, Moment at);
  void On(const Tick& event, Moment at);
  void On(const Resolve& event, Moment at);
  // A member of its group from now on, but not yet queued: Enqueue.
  Entry& Admit(domain::Task task, const std::string& submitter);
  void EndOfOfferOrPause(const TaskId& id, Moment at);

  // Availability (availability.cc).
  void LoadAvailability(const std::map<AgentId, domain::Availability>& stored, Moment at);
  void Wish(std::optional<Ticket> ticket, const AgentId& agent, domain::Availability availability,
            Basis basis, Moment at);
  // Of a batch that was committed; `differs`: memory is forgotten, only tell what happened.
  void GrantWishes(Batch& batch, const std::vector<absl::Status>& statuses, bool differs,
                   Moment at);
  void SetAvailability(const AgentId& agent, const domain::Availability& availability, Moment at);
  void Dismiss(const AgentId& agent, const domain::Availability& availability, Moment at);
  // `remaining`: the agents that have not left the farm, as stored.
  void SettleDoubted(const std::vector<store::RosterAgent>& remaining, Moment at);
  void RetireIdle(Moment at);

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
  // The agent no longer knows of publishes whose word it owes.
  void NoteSilence(const AgentId& agent, const std::set<TaskId>& listed);
  void TakeFailure(Entry& entry, const ResultReported& event, protocol::AttemptResult result,
                   Moment at);
  // The publish of the same group that holds a permit; empty: none.
  [[nodiscard]] TaskId OtherPermitOfGroup(const Entry& entry) const;
  void RenewLease(const AgentId& id, Moment at);
  void ExpireLease(const AgentId& id, Moment at);
  void ForgiveStandstill(Moment at);

  // Publishes of unknown outcome (resolutions.cc).
  // `looked_at`: when whoever says so looked at the platform, or later.
  absl::Status Settle(const Resolve& event, Moment looked_at, Moment at);
  // Nothing can be published any more once both clocks are there: the wall clock may be set
  // forward, and the steady one does not know what a restart cost.
  [[nodiscard]] Moment QuietFrom(const Entry& entry) const;
  [[nodiscard]] absl::Status CheckQuiet(const Entry& entry, Moment looked_at, Moment at) const;
  // Permits of the rows, with their times.
  void LoadPermits(std::vector<domain::PublishPermit> permits, Moment at);
  // The agent may still have something to say about a publish that it began.
  [[nodiscard]] bool OwesWord(const AgentId& agent) const;
  // It will not say it any more: it has left the farm, or knows nothing of the attempt.
  void ForgiveWord(const AgentId& agent, const TaskId& task);
  void ForgiveWords(const AgentId& agent);
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
  // Queues the task if nothing but an agent is missing.
  void Enqueue(Entry& entry);
  // Its wait has lasted since task.queued_since; it goes on for `at_least`, however long that was.
  void AwaitAgent(Entry& entry, Moment at, Duration at_least = Duration::zero());
  // It waits no more.
  void StopAwaiting(Entry& entry);
  // Fails a queued task that waited too long, or for an agent that there will never be.
  void EndWait(Entry& entry, Moment at);
  void GiveUp(Entry& entry, Moment at);
  // The agents have changed: some tasks may hope, others may not any more.
  void Reconsider(const AgentRoster::Shift& shift, Moment at);
  void LeaveAgent(Entry& entry);
  void LeaveGroup(const Entry& entry);
  // Queues whoever has the turn.
  void NextOfGroup(const domain::Group& group);
  void UpdateRoom(const AgentId& id);
  // They are settled by the same right as the entry: refused together, should it have ended.
  void SettleDependents(const Entry& entry, bool succeeded,
                        const std::vector<domain::Authority>& rests_on, Moment at);

  // Explanations (explain.cc).
  [[nodiscard]] std::vector<AgentFit> FitsOf(const domain::Task& task) const;
  [[nodiscard]] AgentCondition ConditionOf(const AgentId& id, bool seen) const;
  [[nodiscard]] Await AwaitedBy(const Entry& entry) const;
  [[nodiscard]] std::vector<Deadline> DeadlinesOf(const Entry& entry, Moment at) const;

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
  // The batch came to nothing, or nobody knows what to.
  Effects Abandon(const absl::Status& answer, bool in_doubt);

  // What a task waits for before it is offered; a probe is about a publish and waits for nothing.
  static TaskId Awaited(const domain::Task& task) {
    return task.kind == domain::TaskKind::kProbe ? TaskId() : task.depends_on;
  }
  static AttemptKey KeyOf(const Entry& entry) { return {entry.task.id, entry.task.attempt}; }
  [[nodiscard]] RetryLimits Limits() const {
    return {options_.max_attempts, options_.retry_delay, options_.longest_retry_delay};
  }
  static store::Cause SchedulerCause(Moment at) { return {"scheduler", at.wall}; }

  // Constant after construction.
  const SchedulerOptions options_;

  // Confined to the owner's mutex.
  bool loaded_ = false;
  MonoTime last_entry_;
  MonoTime grace_end_;  // no lease ends before
  std::uint64_t last_order_ = 0;
  std::map<TaskId, Entry> tasks_;
  std::map<TaskId, std::set<TaskId>> dependents_;  // by the unfinished task they depend on
  std::map<AgentId, Agent> agents_;
  // Of agents that take no work by the wish of an operator.
  std::map<AgentId, domain::Availability> availability_;
  std::set<AgentId> retiring_;  // of these, until they are idle
  // Left the farm in this process's time: what their streams still say is dropped.
  std::set<AgentId> gone_;
  // Whose leaving is in doubt until the rows are read again.
  std::map<AgentId, domain::Availability> doubted_;
  std::map<TaskId, domain::OpenResolution> resolved_;
  // Publishes, unknown or resolved, whose attempt may still have its last word to say, with the
  // inventories in a row that did not list it.
  std::map<std::pair<AgentId, TaskId>, int> owed_;
  // Of unfinished publishes. Outlive a reload, which thus makes no wait longer.
  std::map<TaskId, PermitTimes> permit_times_;
  AgentRoster roster_;
  ConcurrencyGroups groups_;
  TaskQueue queue_;
  Deadlines<DueKey> due_;
  Batch open_;                       // what the events since the last TakeChanges came to
  std::optional<Batch> committing_;  // taken and not yet decided
};

}  // namespace slipway::scheduler
