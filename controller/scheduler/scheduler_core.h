#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "controller/scheduler/events.h"
#include "controller/scheduler/explain.h"
#include "controller/store/changes.h"
#include "controller/store/scheduler_store.h"

namespace slipway::scheduler {

struct SchedulerOptions {
  // How long an agent may think about an offer. Short: a lost offer holds a slot for as long.
  Duration offer_timeout = std::chrono::seconds(10);
  // How long an agent may stay silent before its builds go elsewhere and its publishes end.
  Duration lease_ttl = std::chrono::minutes(2);
  // After Load no lease ends for this long, so that a controller restart costs no build.
  Duration grace = std::chrono::minutes(2);
  // More than this between two events means that the controller itself stood still (suspended,
  // swapped out, waiting for its database): what agents said meanwhile may be unread, so leases get
  // the grace period again instead of ending. NextDeadline asks for a Tick well before.
  Duration standstill = std::chrono::seconds(20);
  // Which failures are tried again is retry_policy.h's business; how often and when, these say.
  // Starts of one build before its failure is final.
  int max_attempts = 3;
  // Pause before a failed build is offered again; doubles with each start, up to the longest.
  Duration retry_delay = std::chrono::seconds(5);
  Duration longest_retry_delay = std::chrono::minutes(5);
  // An agent that refused gets no offer for this long.
  Duration refusal_pause = std::chrono::seconds(2);
  // How long a task waits although no agent of the farm could ever run it; then it fails. Begins
  // after the grace period of a controller start.
  Duration no_agent_grace = std::chrono::minutes(10);
  // Validity of a publish permit from its grant.
  Duration permit_ttl = std::chrono::minutes(2);
  // Added to a permit's end and the client's deadline, or to the time at which the client was seen
  // to be dead, before anybody may say that nothing was published: slipway-init needs a moment to
  // end a client, and a platform to show what reached it last.
  Duration publish_margin = std::chrono::minutes(1);
  // Unfinished tasks above which a submit is refused. Bounds the memory of the core.
  std::size_t max_unfinished = 100'000;
};

// One agent as people see it.
struct AgentView {
  AgentId agent;
  bool online = false;
  bool draining = false;  // its program is being stopped
  std::uint32_t slots = 0;
  std::vector<AttemptKey> attempts;  // offered to it or running on it
};

// Decides what runs where: holds every unfinished task, turns events into store changes and
// messages. The queue's order is TaskQueue's business, storing and sending the shell's.
//
// Batches (docs/protocol.md, invariant 2). The core applies events to its memory at once and keeps
// back what may be told until the changes are committed:
//
//   for each gathered event:  core.Apply(event, now, wall)
//   if core.HasWork():
//     changes  = core.TakeChanges()
//     statuses = changes.empty() ? ok : store.Commit(changes)          // no Apply meanwhile
//     effects  = statuses.ok()                     ? core.OnCommitted(*statuses, now, wall)
//                : store::InDoubt(statuses.status()) ? core.OnInDoubt()
//                                                    : core.OnNotStored(statuses.status())
//                                                                // both set effects.reload
//     do effects.disconnected, dismissed, replies, sends, changed
//     if effects.reload: core.Load(*store.LoadUnfinished(), now, wall)  // until it succeeds
//   and again at once while core.HasWork(), with the events that came meanwhile
//
// A refused CreateRun, RecordStep or wish of an operator concerns nobody else and is dealt with
// inside. Any other refusal and any error of the whole call means that memory and rows differ: the
// core forgets everything but its sessions, answers the batch's tickets with kUnavailable, and asks
// every agent for an inventory after Load. There is no other way of repair. That an agent has left
// the farm holds, and is told, only once its row is known to say so.
//
// Work is offered only to agents that domain::TakesWork(). What a revoked agent holds is lost at
// once; a retiring one is retired when it says that it holds nothing, or is offline (after a
// controller start, for the grace period) and has no task. Until then it may bring the last word
// about a publish whose outcome is unknown, or was resolved by others.
//
// Invariants: a task has at most one current attempt; a message about another attempt changes
// nothing and is answered kForget; a publish that was started is never queued again; at most one
// task of a concurrency group is at an agent, in the order of submit. Memory is bound to unfinished
// tasks, to the agents of the farm, and to resolved publishes whose word such an agent may still
// bring.
//
// Thread-compatible; confined to the shell's mutex. Reads no clock; `now` never goes back.
class SchedulerCore {
 public:
  explicit SchedulerCore(SchedulerOptions options);
  ~SchedulerCore();
  SchedulerCore(SchedulerCore&&) noexcept;
  SchedulerCore& operator=(SchedulerCore&&) noexcept;

  // Forgets all tasks, takes those of the store, starts the grace period, and asks every open
  // session for an inventory (an effect of the next TakeChanges / OnCommitted). Once before the
  // first Apply, and again whenever Effects::reload was set.
  void Load(store::Unfinished unfinished, MonoTime now, WallTime wall);

  // REQUIRES: loaded; no batch is being committed.
  void Apply(const Event& event, MonoTime now, WallTime wall);

  // There are changes to commit or effects to give out.
  [[nodiscard]] bool HasWork() const;
  // The changes since the last batch, in the order in which they must be applied; may be empty.
  [[nodiscard]] std::vector<store::Change> TakeChanges();
  // One status per change of TakeChanges, as SchedulerStore::Commit gives them.
  [[nodiscard]] Effects OnCommitted(const std::vector<absl::Status>& statuses, MonoTime now,
                                    WallTime wall);
  // The commit failed as a whole, and nothing of it is stored: for `why`.
  [[nodiscard]] Effects OnNotStored(const absl::Status& why);
  // The commit failed as a whole: nobody knows whether the changes are stored.
  [[nodiscard]] Effects OnInDoubt();

  // When to Apply a Tick at the latest; nullopt: nothing is due.
  [[nodiscard]] std::optional<MonoTime> NextDeadline() const;

  // `key` is the current attempt of its task and `agent` holds it: its log may be written.
  [[nodiscard]] bool IsCurrent(const AgentId& agent, const AttemptKey& key) const;
  // Why a task is where it is; nullopt: no unfinished task has this id. Linear in the agents.
  // The labels of each agent that is there and takes work, though it may have no room now.
  [[nodiscard]] std::vector<Labels> Takers() const;
  [[nodiscard]] std::optional<Explanation> Explain(const TaskId& task, MonoTime now,
                                                   WallTime wall) const;
  // Whether it may be said at this time that a publish of unknown outcome is not published:
  // kFailedPrecondition, reason RESOLVE_TOO_EARLY. Ok for any other task.
  [[nodiscard]] absl::Status CheckQuiet(const TaskId& task, MonoTime now, WallTime wall) const;
  // Agents with a session or a current attempt, by id.
  [[nodiscard]] std::vector<AgentView> Agents() const;
  [[nodiscard]] std::size_t unfinished() const;
  // Those that wait for nothing but an agent.
  [[nodiscard]] std::size_t queued() const;
  // False between Effects::reload and Load: whether an attempt is current is then not known.
  [[nodiscard]] bool loaded() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::scheduler
