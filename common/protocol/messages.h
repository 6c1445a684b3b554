#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/protocol/attempt_result.h"
#include "common/protocol/failure.h"
#include "common/protocol/health.h"

// The agent protocol as plain values: what the pure cores of both sides exchange, in the simulation
// and over gRPC alike (the edges convert to proto/slipway/v1/agent.proto, which tells the story).
// Any of these may be lost, repeated or late; none may be needed twice.
namespace slipway::protocol {

// A probe asks a platform what became of a publish of unknown outcome. It changes nothing there and
// may be repeated; for its agent it is a publish that needs no marker. So is a preview, which makes
// a code for exactly this product and changes nothing that the public sees.
enum class TaskKind { kBuild = 1, kPublish = 2, kProbe = 3, kPreview = 4, kScript = 5 };

// Fetches a commit and runs a script against it; all others hand an archived product to somebody.
[[nodiscard]] constexpr bool RunsScript(TaskKind kind) {
  return kind == TaskKind::kBuild || kind == TaskKind::kScript;
}

// May be done again however often: its permit is remembered by nobody, and one that was lost in the
// middle is begun anew.
[[nodiscard]] constexpr bool IsRepeatable(TaskKind kind) { return kind != TaskKind::kPublish; }

// Where an attempt stands at its agent. Only ever moves forward.
enum class AttemptPhase {
  kAccepted = 1,  // promised; nothing started
  kRunning = 2,   // start was ordered and is journalled; a container may exist
  kFinished = 3,  // the result is durable in the agent's outbox
};

// ---- agent → controller

// One attempt in the agent's inventory.
struct AttemptStatus {
  AttemptKey key;
  TaskKind kind = TaskKind::kBuild;
  AttemptPhase phase = AttemptPhase::kAccepted;

  friend bool operator==(const AttemptStatus&, const AttemptStatus&) = default;
};

// Everything the agent holds. The first message of a stream, then one per sync.
struct Inventory {
  // Rises with each inventory of a stream, from 1; the answer names it.
  std::uint64_t sequence = 0;
  std::uint32_t slots = 0;
  bool draining = false;
  std::map<std::string, std::string> labels;
  std::vector<AttemptStatus> attempts;
  AgentHealth health = {};
  std::vector<ImageReport> images = {};
};

struct Accept {
  AttemptKey key;
};

// The agent cannot take the offer (no slot, draining, not well). Not a failure of the task.
struct Refuse {
  AttemptKey key;
  std::string reason;
};

enum class StepState { kStarted = 1, kSucceeded = 2, kFailed = 3 };

// A named step of an attempt began or ended: fetch, script, archive, prove, upload, …
struct StepReport {
  AttemptKey key;
  std::uint32_t number = 0;  // from 1 within the attempt
  std::string name;
  StepState state = StepState::kStarted;
  WallTime at;
  std::string detail;  // masked; at most 1 KiB
};

// Sent when the attempt has ended and its log is durable at the controller, and again at every sync
// until the attempt is forgotten.
struct ResultReport {
  AttemptKey key;
  AttemptResult result;
};

// A publish attempt is ready to start its client and asks for leave.
struct PermitRequest {
  AttemptKey key;
  // The bytes that would be published.
  Sha256Digest manifest;
  // Rises with each request of a stream; the answer names it, so that the agent knows since when at
  // the latest the permit's time runs.
  std::uint64_t sequence = 0;
};

struct LogChunk {
  AttemptKey key;
  std::uint64_t offset = 0;
  std::string data;
};

using AgentMessage =
    std::variant<Inventory, Accept, Refuse, StepReport, ResultReport, PermitRequest, LogChunk>;

// ---- controller → agent

enum class Want {
  kOffer = 1,   // "can you take it?" Answer: Accept or Refuse
  kStart = 2,   // accepted and committed as running: start unless already started
  kKeep = 3,    // go on with what you are doing
  kCancel = 4,  // end it, then report a result of class `canceled` (or what it came to meanwhile)
  kForget = 5,  // the result is stored, or the attempt is nobody's any more: kill and delete it
};

struct DesiredAttempt {
  AttemptKey key;
  TaskKind kind = TaskKind::kBuild;
  Want want = Want::kKeep;
  // With kStart: serialised slipway.v1.TaskSpec; opaque to the cores.
  std::string spec;
};

// What the agent should hold. An answer to inventory `answers` lists every attempt of it; an agent
// treats one that an answer leaves out as kForget. A push (`answers` = 0) speaks of its entries
// only.
struct Desired {
  std::uint64_t answers = 0;
  std::vector<DesiredAttempt> attempts;
  // When to send the next inventory at the latest.
  Duration sync_after{};
  // The controller's clock when it was sent; by it agents measure how far theirs is off.
  std::optional<WallTime> sent_at = {};
  // The images the agent should have; nullopt: as told before.
  std::optional<std::vector<ImageOrder>> images = {};
};

// `received`: next offset wanted. `durable`: everything below it may be deleted at the agent.
// Also says where to resume: a chunk at another offset than `received` is trimmed or dropped.
struct LogAck {
  AttemptKey key;
  std::uint64_t received = 0;
  std::uint64_t durable = 0;
};

// Leave to start the client once. Asking again gives the same nonce.
struct Permit {
  AttemptKey key;
  std::string nonce;
  // Sequence of the request that it answers.
  std::uint64_t answers = 0;
  // From the moment of that request: the client must not be started later. Counted from before the
  // controller looked at its clock, so an agent that was frozen meanwhile does not gain time.
  Duration valid_for{};
  // The client is ended after this long at the latest.
  Duration deadline{};
  // The opened credential: plain text that must never touch a disk or a log. Empty in simulations.
  std::string secret;
};

struct PermitDenied {
  AttemptKey key;
  Failure failure;
};

struct ControllerMessage {
  // Of the leader that sent it; agents ignore lower ones than the highest seen.
  Epoch epoch;
  std::variant<Desired, LogAck, Permit, PermitDenied> body;
};

}  // namespace slipway::protocol
