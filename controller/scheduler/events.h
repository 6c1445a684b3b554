#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/base/strong_type.h"
#include "common/protocol/attempt_result.h"
#include "common/protocol/messages.h"
#include "controller/domain/agent.h"
#include "controller/domain/authority.h"
#include "controller/domain/target.h"
#include "controller/domain/task.h"

// What goes into a SchedulerCore and what comes out of it, as values.
namespace slipway::scheduler {

// Names a caller that waits for an answer. Made by the shell, unique while the answer is
// outstanding.
using Ticket = StrongType<struct TicketTag, std::uint64_t>;

// The connection a message came in on. Messages of a session that is not its agent's current one
// are dropped.
struct Origin {
  AgentId agent;
  SessionId session;
};

// ---- events: people

// What somebody's wish rests on: see store::Cause.
struct Basis {
  std::string from{};
  std::vector<domain::Authority> authorities{};
  // Of a submit: what it publishes to.
  std::vector<domain::TargetUse> targets{};
};

// Builds are submitted as kQueued, tasks with depends_on as kWaiting.
struct Submit {
  Ticket ticket;
  domain::Run run;
  std::vector<domain::Task> tasks;
  Basis basis{};
};

struct Cancel {
  Ticket ticket;
  TaskId task;
  std::string actor;
  std::string why;
  Basis basis{};
};

// What operators want of an agent. `since` is filled in by the core.
struct ChangeAgent {
  Ticket ticket;
  AgentId agent;
  domain::Availability availability;
  Basis basis{};
};

// Says what became of a publish of unknown outcome. The shell fills in `result` and, for one that
// was published, `release`; an event without a result was not prepared and changes nothing.
struct Resolve {
  Ticket ticket;
  TaskId task;
  // When the call came in; a probe's answer counts from the start of its attempt instead. "Not
  // published" is only taken when that was late enough.
  WallTime said_at{};
  MonoTime said_at_mono{};  // the same moment
  // resolved_at is set when it is taken.
  domain::Resolution resolution;
  // Of a publish that was published, as far as known: else the build's version, and no link.
  std::string version;
  std::string link;
  std::optional<protocol::AttemptResult> result = std::nullopt;
  std::optional<domain::Release> release = std::nullopt;
  Basis basis{};
};

// ---- events: agents, as SessionCore makes them

// The first one of a session opens it and replaces an older session of the same agent, whose
// SessionClosed may still follow (session numbers rise).
struct InventoryReceived {
  Origin from;
  protocol::Inventory inventory;
  // The agent's, for people. The shell fills it in; may be empty.
  std::string agent_name{};
};

struct SessionClosed {
  Origin from;
};

struct Accepted {
  Origin from;
  AttemptKey key;
};

struct Refused {
  Origin from;
  AttemptKey key;
  std::string reason;
};

struct StepReported {
  Origin from;
  protocol::StepReport step;
};

// How the durable log compares with result.log.
enum class LogState {
  kIncomplete =
      1,  // bytes are still on their way: the result is not taken yet, the agent sends it again
  kComplete = 2,  // size and root match
  kDamaged =
      3,  // no more bytes will come and they do not match, or the agent says that some are lost
};

// SessionCore leaves `log`, `log_missing` and `release` to the shell, which fills them in before
// Apply.
struct ResultReported {
  Origin from;
  AttemptKey key;
  protocol::AttemptResult result;
  LogState log = LogState::kIncomplete;
  // With kDamaged: bytes that will never be there, as far as is known. Stored as
  // result.log.missing.
  std::uint64_t log_missing = 0;
  // REQUIRED for a publish that succeeded with log != kIncomplete: the row to insert. Its id and QR
  // text are used only if the result is taken.
  std::optional<domain::Release> release;
  // Of a probe that got a clear answer: what it says of the publish, completed like any Resolve.
  std::optional<Resolve> resolves = std::nullopt;
};

// SessionCore leaves `nonce` to the shell: fresh random text for every event; used unless
// a publish has its permit already. The shell has checked that `manifest` is the one the build
// archived; an event without a nonce was not checked and is never granted. `deadline`, of the
// target, is the shell's as well.
struct PermitRequested {
  Origin from;
  AttemptKey key;
  Sha256Digest manifest;
  std::string nonce;
  std::uint64_t sequence = 0;
  Duration deadline{};
};

// Time has passed. Last in a batch, so that what arrived in time counts.
struct Tick {};

using Event = std::variant<Submit, Cancel, ChangeAgent, Resolve, InventoryReceived, SessionClosed,
                           Accepted, Refused, StepReported, ResultReported, PermitRequested, Tick>;

// ---- effects

// A message for one session. What the core does not know, the shell adds before it sends:
//   Desired with Want::kStart   `spec` of that attempt (serialised TaskSpec)
//   Permit                      `secret`; when it cannot be opened, PermitDenied is sent instead
// Desired.sync_after is the longest the core would wait (Duration::max(): no wish; zero: at once);
// SessionCore::Stamp makes it the final value.
struct Outgoing {
  AgentId agent;
  SessionId session;
  std::variant<protocol::Desired, protocol::LogAck, protocol::Permit, protocol::PermitDenied> body;
};

// The answer to a Ticket.
//   Submit: ok with the run; kAlreadyExists with the run that has the same request id (the caller
//   reads
//     it and answers with it); kResourceExhausted, QUEUE_FULL; kFailedPrecondition, NO_TARGET: a
//     target went, or changed its environment, meanwhile; kInvalidArgument.
//   Cancel: ok; kNotFound: no unfinished task has this id (the caller looks whether it has
//   finished);
//     kFailedPrecondition, PUBLISH_UNKNOWN: it cannot be taken back any more.
//   ChangeAgent: ok; kFailedPrecondition, AGENT_GONE: it has left the farm.
//   Resolve: ok; kNotFound: as for Cancel; kFailedPrecondition, NOT_UNKNOWN: it has not ended yet,
//     or RESOLVE_TOO_EARLY: its client may still be at work.
//   Each: kUnavailable, COMMIT_IN_DOUBT: nothing is known, ask again with the same request id; or
//     NOT_STORED: the database took nothing of it.
struct Reply {
  Ticket ticket;
  absl::Status status;
  RunId run;
};

// An attempt that is over for good, as stored: with a result of its own, or lost (then its log is
// what came of it, not complete).
struct TakenResult {
  AttemptKey key;
  bool log_complete = false;
  std::uint64_t log_missing = 0;  // as in ResultReported
};

// An agent that has left the farm: its streams are to be ended and no new one is to begin.
struct DismissedAgent {
  AgentId agent;
  domain::Availability availability;
};

// Everything the shell may do once the batch is committed, in this order.
struct Effects {
  // Nobody knows whether these have left the farm: their streams are to be ended; should they come
  // back, the row says.
  std::vector<AgentId> disconnected;
  std::vector<DismissedAgent> dismissed;
  std::vector<Reply> replies;
  std::vector<Outgoing> sends;
  // Tasks whose row changed, for watchers; each once.
  std::vector<TaskId> changed;
  // Their logs take no more bytes.
  std::vector<TakenResult> taken;
  // The stored rows are not what the core believed: call Load with freshly read rows.
  bool reload = false;
};

}  // namespace slipway::scheduler
