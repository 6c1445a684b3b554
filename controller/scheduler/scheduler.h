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
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "controller/domain/agent.h"
#include "controller/domain/authority.h"
#include "controller/domain/task.h"
#include "controller/scheduler/announcer.h"
#include "controller/scheduler/events.h"
#include "controller/scheduler/reload_pause.h"
#include "controller/scheduler/scheduler_core.h"
#include "controller/scheduler/work_orders.h"
#include "controller/store/scheduler_store.h"

namespace slipway::scheduler {

// The shell around a SchedulerCore: one thread gathers events, lets the core decide, commits what
// it changed in one transaction and only then lets an Announcer tell anybody (docs/protocol.md,
// invariant 2). Events that come while a transaction is in flight are the next batch.
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

  // `reply` is called from the announcer's thread, after the commit; it must not block.
  void Submit(domain::Run run, std::vector<domain::Task> tasks, OnReply reply, Basis basis = {});
  void Cancel(TaskId task, std::string actor, std::string why, OnReply reply, Basis basis = {});
  void ChangeAgent(AgentId agent, domain::Availability availability, OnReply reply,
                   Basis basis = {});
  // What became of a publish of unknown outcome; `event` without ticket, time, result and release.
  void Resolve(scheduler::Resolve event, OnReply reply);
  // An event of a session. False: too many wait, end the session; its next inventory makes up for
  // what is lost. SessionClosed is always taken.
  bool Post(Event event);

  // Ok: `agent` may write for the attempt. kFailedPrecondition, STALE_ATTEMPT: never again.
  // kUnavailable: not known at the moment, ask again.
  [[nodiscard]] absl::Status CheckCurrent(const AgentId& agent, const AttemptKey& key) const;
  [[nodiscard]] std::vector<AgentView> Agents() const;
  // For who watches the farm; constant in tasks.
  struct Load {
    std::size_t unfinished = 0;
    std::size_t queued = 0;  // for an agent alone
    std::size_t held = 0;    // at an agent, or offered to one
    std::size_t agents = 0;  // connected, but for the controller's own
    std::size_t slots = 0;   // theirs
  };
  [[nodiscard]] Load CurrentLoad() const;
  // The labels of each agent that is there and takes work, though it may have no room now.
  [[nodiscard]] std::vector<Labels> Takers() const;
  // nullopt: no unfinished task has this id. kUnavailable: as in CheckCurrent.
  [[nodiscard]] absl::StatusOr<std::optional<Explanation>> Explain(const TaskId& task) const;
  // Of each, in their order: whether it may be said now that this publish of unknown outcome is not
  // published: kFailedPrecondition, reason RESOLVE_TOO_EARLY; kUnavailable: as in CheckCurrent. Ok
  // for any other task.
  [[nodiscard]] std::vector<absl::Status> CheckQuiet(const std::vector<TaskId>& tasks) const;
  // When its thread last began something; it never rests for longer than some seconds, and a
  // database that does not answer holds it for as long as statements may take.
  [[nodiscard]] MonoTime last_turn() const;

 private:
  // Takes an event that somebody waits for.
  template <typename Request>
  void Ask(Request event, OnReply reply);
  void Loop();
  // Answers and removes the events whose makers may not do that any more.
  void RefuseUnentitled(std::vector<Event>& events);
  void RunBatch(std::vector<Event> events);
  // False: the event is dropped, its sender repeats it.
  bool Prepare(Event& event);
  void Commit();
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

  mutable std::mutex core_mu_;
  SchedulerCore core_;

  mutable std::mutex mu_;  // never held together with core_mu_
  std::condition_variable wake_;
  bool stop_ = false;
  std::deque<Event> submits_;
  std::deque<Event> urgent_;
  std::map<Ticket, OnReply> waiting_;
  std::uint64_t last_ticket_ = 0;

  Announcer announcer_;
  std::atomic<Duration::rep> last_turn_;  // ticks of MonoTime

  // The scheduler's thread's.
  ReloadPause reload_pause_;
  std::vector<Event> steps_;  // reports of steps that wait, until:
  MonoTime steps_due_;        // MonoTime(): none does

  std::thread thread_;
};

}  // namespace slipway::scheduler
