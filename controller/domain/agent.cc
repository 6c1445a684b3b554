#include "controller/domain/agent.h"

#include <array>
#include <utility>

namespace slipway::domain {
namespace {

constexpr std::size_t kShortId = 12;

constexpr std::array<std::pair<AgentMode, std::string_view>, 6> kModes{{
    {AgentMode::kActive, "active"},
    {AgentMode::kPaused, "paused"},
    {AgentMode::kDraining, "draining"},
    {AgentMode::kRetiring, "retiring"},
    {AgentMode::kRetired, "retired"},
    {AgentMode::kRevoked, "revoked"},
}};

}  // namespace

std::string_view AgentModeName(AgentMode mode) {
  for (const auto& [value, name] : kModes) {
    if (value == mode) return name;
  }
  return "unspecified";
}

std::optional<AgentMode> ParseAgentMode(std::string_view name) {
  for (const auto& [value, known] : kModes) {
    if (known == name) return value;
  }
  return std::nullopt;
}

bool IsGone(AgentMode mode) { return mode == AgentMode::kRetired || mode == AgentMode::kRevoked; }

bool MayBecome(AgentMode from, AgentMode to) {
  return !IsGone(from) && (to != AgentMode::kRetired || from == AgentMode::kRetiring);
}

AgentMode ModeAt(const Availability& availability, WallTime now) {
  const bool over = availability.mode == AgentMode::kPaused && availability.until != WallTime() &&
                    availability.until <= now;
  return over ? AgentMode::kActive : availability.mode;
}

bool TakesWork(const Availability& availability, WallTime now) {
  return ModeAt(availability, now) == AgentMode::kActive;
}

std::string_view JoinTokenStateName(JoinTokenState state) {
  switch (state) {
    case JoinTokenState::kOpen: return "open";
    case JoinTokenState::kUsed: return "used";
    case JoinTokenState::kExpired: return "expired";
    case JoinTokenState::kRevoked: return "revoked";
    case JoinTokenState::kUnknown: return "unknown";
  }
  return "unspecified";
}

JoinTokenState StateAt(const JoinToken& token, WallTime now) {
  if (token.used_at != WallTime()) return JoinTokenState::kUsed;
  if (token.revoked_at != WallTime()) return JoinTokenState::kRevoked;
  return token.expires_at <= now ? JoinTokenState::kExpired : JoinTokenState::kOpen;
}

std::string ShortId(const JoinToken& token) { return token.token_hash.substr(0, kShortId); }

}  // namespace slipway::domain
