#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "agent/core/journal.h"
#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/protocol/attempt_result.h"
#include "common/protocol/messages.h"

// What goes into an AgentCore and what comes out of it, as values.
namespace slipway::agent {

// ---- events: link

// A new stream is open. Nothing of an older stream may be delivered after this.
struct Connected {};
struct Disconnected {};
struct Received {
  protocol::ControllerMessage message;
};

// ---- events: journal

// Everything up to and including `id` is on the disk. (A journal that cannot be written or synced
// ends the process: what follows is the restart path.)
struct JournalSynced {
  JournalId id = 0;
};

// ---- events: runner. Any of them may be repeated; those about an attempt that is gone are
// ignored.

struct StepHappened {
  protocol::StepReport step;
};

// The log spool holds the bytes [begin, end). `end` counts only synced bytes, otherwise the
// controller could store bytes that a crash of the machine takes away here. `begin` rises as the
// spool is freed. Raised when the log grows, and once for each AdoptAttempt.
struct LogGrew {
  AttemptKey key;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// A publish stands before its client and asks for the permit; asked again after each restart.
struct PublishReady {
  AttemptKey key;
  Sha256Digest manifest;
};

// The attempt is over: what its script or client came to, or why there was none. `result` is
// complete, its log summary included.
struct AttemptEnded {
  AttemptKey key;
  protocol::AttemptResult result;
};

// There is neither a live container nor a result of it: it was lost with the machine, killed by
// somebody else, or (publish, after a restart) its client cannot be shown to have been started with
// the permit. `log`: what the spool holds.
struct AttemptVanished {
  AttemptKey key;
  protocol::LogSummary log;
  // Whatever was left of it is dead and gone, as the Engine says.
  bool client_ended = false;
};

// The runner could not begin it, or not take it up after a restart, and has given up: what a
// container of an earlier life did meanwhile was not seen. Of one that has finished: its spool
// cannot be read any more, or has lost its end; LogGrew told what it still holds. `failure`: why.
// `log` and `client_ended` as in AttemptVanished.
struct AttemptNotTakenUp {
  AttemptKey key;
  protocol::Failure failure;
  protocol::LogSummary log;
  bool client_ended = false;
};

// Answers DeleteAttempt.
struct AttemptDeleted {
  AttemptKey key;
};

// ---- events: the rest

// How the agent is now. While it is not well it takes no new work; what is held goes on.
struct HealthChanged {
  protocol::AgentHealth health;
};

// How far the images of the last PrepareImages are, all of them.
struct ImagesChanged {
  std::vector<protocol::ImageReport> images;
};

// No new work from now on; what runs goes on, what was only promised is handed back.
struct DrainRequested {};
// As DrainRequested, and what runs is ended and goes elsewhere. A publish whose client may have
// been started is not ended: nobody could say what became of it.
struct HurryRequested {};
// The farm has thrown this agent out: nothing of what it holds is wanted any more.
struct Disowned {};
struct Tick {};

using Event =
    std::variant<Connected, Disconnected, Received, JournalSynced, StepHappened, LogGrew,
                 PublishReady, AttemptEnded, AttemptVanished, AttemptNotTakenUp, AttemptDeleted,
                 HealthChanged, ImagesChanged, DrainRequested, HurryRequested, Disowned, Tick>;

// ---- actions. To be done in order; none waits for another, because the core itself keeps back
// what needs an entry on the disk until JournalSynced.

// On the current stream; dropped when there is none.
struct Send {
  protocol::AgentMessage message;
};

// Read [offset, end) of the spool and send it as LogChunks; offset = end: one empty chunk, which
// asks the controller where to resume. Dropped with the stream.
struct SendLog {
  AttemptKey key;
  std::uint64_t offset = 0;
  std::uint64_t end = 0;
};

// Append and sync, then raise JournalSynced. Entries may share a sync.
struct WriteJournal {
  JournalId id = 0;
  JournalEntry entry;
};

// Start in a fresh container. A publish that vanished before its marker is started a second time:
// what is left of the first is removed before, its log goes on in the same spool.
struct StartAttempt {
  AttemptKey key;
  protocol::TaskKind kind = protocol::TaskKind::kBuild;
  std::string spec;
};

// After a restart: find the attempt's container and spool again. Raise LogGrew, then for
//   kRunning   nothing while it lives (a publish without marker: PublishReady), AttemptEnded when
//              its result is found, else AttemptVanished
//   kFinished  nothing
// AttemptNotTakenUp when this cannot be done, or the spool of one that has finished is shorter than
// it was; a publish whose client may run is tried again as long
// as its container is there.
struct AdoptAttempt {
  AttemptKey key;
  protocol::TaskKind kind = protocol::TaskKind::kBuild;
  std::string spec;
  protocol::AttemptPhase phase = protocol::AttemptPhase::kRunning;
  // The marker was written: the client may have been started, and no permit will be given again.
  bool publish_started = false;
  // Where the log of one that has finished ends, as far as it was kept.
  std::uint64_t log_end = 0;
};

// End it, then raise AttemptEnded with what it came to. A no-op for one that has ended.
struct CancelAttempt {
  AttemptKey key;
};

// Kill and remove container, workspace and spool, whatever state they are in, then raise
// AttemptDeleted. Idempotent; also of an attempt that never started.
struct DeleteAttempt {
  AttemptKey key;
};

// Start the client once, not after `valid_until`. The marker is on the disk. `secret` must be
// wiped.
struct GivePermit {
  AttemptKey key;
  std::string nonce;
  std::string secret;
  MonoTime valid_until;
  // The client is ended after this long; zero: as the task says.
  Duration deadline{};
};

// The client must not start: end the attempt with this failure.
struct DenyPermit {
  AttemptKey key;
  protocol::Failure failure;
};

// The controller has these bytes on its disk: the spool below `below` may be freed.
struct FreeSpool {
  AttemptKey key;
  std::uint64_t below = 0;
};

// The images that the controller wants here, instead of those of any earlier one.
struct PrepareImages {
  std::vector<protocol::ImageOrder> orders;
};

// Draining, and nothing is held any more.
struct Drained {};

using Action =
    std::variant<Send, SendLog, WriteJournal, StartAttempt, AdoptAttempt, CancelAttempt,
                 DeleteAttempt, GivePermit, DenyPermit, FreeSpool, PrepareImages, Drained>;

}  // namespace slipway::agent
