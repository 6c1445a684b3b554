#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/time.h"

namespace slipway::domain {

// The controller's own executor, which works for channels: an agent to the scheduler, with the
// label executor=controller, and no agent of the farm. None that joins gets this id.
inline constexpr char kControllerAgent[] = "controller";

// What operators decided about an agent. Whether its program is connected, and whether that is
// being stopped, is the scheduler's knowledge and no part of it.
enum class AgentMode {
  kActive = 1,    // takes the work that fits
  kPaused = 2,    // takes none until it is resumed or its time is over
  kDraining = 3,  // finishes what it holds and takes none until it is resumed
  kRetiring = 4,  // drains for good; retired as soon as it holds nothing
  kRetired = 5,   // has left the farm: the row is history
  kRevoked = 6,   // was thrown out of it
};

// "active", "paused", …: as stored, audited and shown.
std::string_view AgentModeName(AgentMode mode);
std::optional<AgentMode> ParseAgentMode(std::string_view name);

// It left the farm: it may not connect, nothing brings it back, and its name is free again.
bool IsGone(AgentMode mode);
// What may follow; a mode may follow itself unless the agent is gone.
bool MayBecome(AgentMode from, AgentMode to);

// A mode with its story.
struct Availability {
  AgentMode mode = AgentMode::kActive;
  // For people; may be empty.
  std::string reason;
  // The account that decided, or "scheduler"; empty: nobody has yet.
  std::string by;
  WallTime since;  // epoch 0: since it joined
  // kPaused: when it is resumed by itself; epoch 0: not by itself.
  WallTime until;

  bool operator==(const Availability&) const = default;
};

// The mode that counts at `now`: a pause whose time is over is none.
AgentMode ModeAt(const Availability& availability, WallTime now);
// It may be offered work at `now`.
bool TakesWork(const Availability& availability, WallTime now);

// A certificate that the farm issued to an agent.
struct AgentCertificate {
  // SHA-256 of the DER, hex; empty: there is none.
  std::string fingerprint;
  WallTime not_after;
};

// An agent that has joined. Being online is the registry's knowledge, not a column.
struct Agent {
  AgentId id;
  // Shown to people; unique among the agents that are not gone. Chosen at join, by default the host
  // name.
  std::string name;
  std::map<std::string, std::string> labels;
  // What it connects with.
  AgentCertificate certificate;
  // Issued to replace it and not used yet; with its first use it becomes `certificate`.
  AgentCertificate successor;
  WallTime successor_since;
  WallTime joined_at;
  WallTime last_seen;  // epoch 0: never connected
  Availability availability;
};

enum class JoinTokenState {
  kOpen = 1,
  kUsed = 2,
  kExpired = 3,
  kRevoked = 4,
  kUnknown = 5,  // there is no such token
};
// "open", "used", …
std::string_view JoinTokenStateName(JoinTokenState state);

// A one-time right to join. Only the token's hash is stored.
struct JoinToken {
  // SHA-256 of the secret, hex.
  std::string token_hash;
  WallTime created_at;
  std::string created_by;
  WallTime expires_at;
  WallTime used_at;  // epoch 0: not used
  AgentId used_by;
  WallTime revoked_at;  // epoch 0: not revoked
  std::string revoked_by;
};
JoinTokenState StateAt(const JoinToken& token, WallTime now);
// What people call a token by: the beginning of its hash, which gives nothing of the token away.
std::string ShortId(const JoinToken& token);

}  // namespace slipway::domain
