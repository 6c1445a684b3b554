#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/protocol/messages.h"
#include "controller/domain/agent.h"
#include "controller/domain/task.h"
#include "controller/scheduler/events.h"
#include "controller/scheduler/reload_pause.h"
#include "controller/scheduler/scheduler_core.h"
#include "controller/store/scheduler_store.h"

namespace slipway::scheduler {

// What a task means beyond where it runs: its specification, its secret, whether its log is
// complete, the release it becomes. Called from the scheduler's thread only; may read the database.
class WorkOrders {
 public:
  virtual ~WorkOrders() = default;

  // These tasks are about to be stored; whether they are is not known yet.
  virtual void Submitted(const Submit&) {}
  // Fills in `log`, `log_missing`, `release` and `resolves`. An error: try again when the agent
  // repeats the result.
  [[nodiscard]] virtual absl::Status Complete(ResultReported& event) = 0;
  // Fills in `nonce` and `deadline`; a failure denies the permit (the manifest is not the one the
  // build archived). An error: try again when the agent asks again.
  [[nodiscard]] virtual absl::StatusOr<std::optional<protocol::Failure>> Complete(
      PermitRequested& event) = 0;
  // Fills in `result` and `release`, when the task is an unknown publish. An error: nobody is
  // helped by trying at once again.
  [[nodiscard]] virtual absl::Status Complete(Resolve& event) = 0;
  // The serialised slipway.v1.TaskSpec of a task that starts.
  [[nodiscard]] virtual absl::StatusOr<std::string> SpecOf(const TaskId& task) = 0;
  // The opened credential of a publish that holds its permit, or why there is none.
  [[nodiscard]] virtual absl::StatusOr<std::variant<std::string, protocol::Failure>> SecretOf(
      const TaskId& task) = 0;
  // The attempt is over for good: its log takes no more bytes.
  virtual void ResultTaken(const TakenResult& result) = 0;
  // Rows of these tasks have changed.
  virtual void Changed(const std::vector<TaskId>& tasks) = 0;
  // The rows were read, at the start or after a commit in doubt: what became of attempts whose
  // ResultTaken was never called can now be seen in them.
  virtual void Loaded() = 0;
};

// Where messages for agents go. Thread-safe; never blocks; a session that is gone swallows them.
class SessionSink {
 public:
  using Body =
      std::variant<protocol::Desired, protocol::LogAck, protocol::Permit, protocol::PermitDenied>;
  virtual ~SessionSink() = default;
  virtual void Send(SessionId session, Body body) = 0;
  // Ends the agent's streams, kUnavailable; it may come back.
  virtual void Disconnect(const AgentId& agent) = 0;
  // The agent has left the farm: ends its streams, and refuses new ones from now on.
  virtual void Dismiss(const AgentId& agent, const domain::Availability& why) = 0;
};

// The shell around a SchedulerCore: one thread gathers events, lets the core decide, commits what
// it changed in one transaction and only then tells anybody (docs/protocol.md, invariant 2). Events
// that come while a transaction is in flight are the next batch.
//
// Thread-safe.
class Scheduler {
 public:
  struct Options {
    SchedulerOptions core;
    // Waiting submits above which more are refused. Results and cancels go first.
    std::size_t max_waiting_submits = 10'000;
    // Waiting messages of agents above which more are refused, so that a database that does not
    // answer does not fill the memory.
    std::size_t max_waiting_messages = 50'000;
    // Between readings of the rows while no commit goes well.
    ReloadPauseOptions reload_pause;
    // How long reports of steps wait for something else to be committed with.
    Duration steps_patience = std::chrono::milliseconds(25);
    // Called once, from the scheduler's thread, when another controller leads. The process must
    // end; whoever waits has been told kUnavailable.
    std::function<void(const absl::Status&)> on_lost_leadership;
  };
  using OnReply = std::function<void(const Reply&)>;

  // The references must outlive this. The leadership is taken already.
  Scheduler(Options options, store::SchedulerStore& store, WorkOrders& orders, const Clock& clock);
  ~Scheduler();

  // Loads unfinished work and starts the thread. `sink` must outlive Stop().
  [[nodiscard]] absl::Status Start(SessionSink& sink);
  // Commits nothing more; waiting callers are told kUnavailable.
  void Stop();

  // `reply` is called from the scheduler's thread, after the commit; it must not block.
  void Submit(domain::Run run, std::vector<domain::Task> tasks, OnReply reply);
  void Cancel(TaskId task, std::string actor, std::string why, OnReply reply);
  void ChangeAgent(AgentId agent, domain::Availability availability, OnReply reply);
  // What became of a publish of unknown outcome; `event` without ticket, time, result and release.
  void Resolve(scheduler::Resolve event, OnReply reply);
  // An event of a session. False: too many wait, end the session; its next inventory makes up for
  // what is lost. SessionClosed is always taken.
  bool Post(Event event);

  // Ok: `agent` may write for the attempt. kFailedPrecondition, STALE_ATTEMPT: never again.
  // kUnavailable: not known at the moment, ask again.
  [[nodiscard]] absl::Status CheckCurrent(const AgentId& agent, const AttemptKey& key) const;
  [[nodiscard]] std::vector<AgentView> Agents() const;
  // nullopt: no unfinished task has this id. kUnavailable: as in CheckCurrent.
  [[nodiscard]] absl::StatusOr<std::optional<Explanation>> Explain(const TaskId& task) const;
  // When its thread last began something; it never rests for longer than some seconds, and a
  // database that does not answer holds it for as long as statements may take.
  [[nodiscard]] MonoTime last_turn() const;

 private:
  // Takes an event that somebody waits for.
  template <typename Request>
  void Ask(Request event, OnReply reply);
  void Loop();
  void RunBatch(std::vector<Event> events);
  // False: the event is dropped, its sender repeats it.
  bool Prepare(Event& event);
  void Commit();
  void Perform(Effects effects);
  // Fills in what only WorkOrders know, and sends.
  void Dispatch(Outgoing message);
  void Reload();
  // True: `status` says so; nothing is committed any more.
  bool LostLeadership(const absl::Status& status);
  void Answer(const Reply& reply);
  // Tells everybody who waits that nothing is known.
  void AnswerAll();
  void NoteTurn();

  const Options options_;
  store::SchedulerStore& store_;
  WorkOrders& orders_;
  const Clock& clock_;
  SessionSink* sink_ = nullptr;

  mutable std::mutex core_mu_;
  SchedulerCore core_;

  mutable std::mutex mu_;  // never held together with core_mu_
  std::condition_variable wake_;
  bool stop_ = false;
  std::deque<Event> submits_;
  std::deque<Event> urgent_;
  std::map<Ticket, OnReply> waiting_;
  std::uint64_t last_ticket_ = 0;

  std::atomic<Duration::rep> last_turn_;  // ticks of MonoTime

  // The scheduler's thread's.
  ReloadPause reload_pause_;
  std::vector<Event> steps_;  // reports of steps that wait, until:
  MonoTime steps_due_;        // MonoTime(): none does

  std::thread thread_;
};

}  // namespace slipway::scheduler
