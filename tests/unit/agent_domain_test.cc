#include <catch2/catch.hpp>

#include "controller/domain/agent.h"

namespace slipway::domain {
namespace {

const WallTime kNow = FromUnixMicros(1'700'000'000'000'000);

Availability In(AgentMode mode, WallTime until = {}) {
  return {.mode = mode, .reason = "", .by = "admin", .since = {}, .until = until};
}

TEST_CASE("Availability: only an active agent takes work; a pause ends by itself at its time",
          "[unit][domain]") {
  CHECK(TakesWork({}, kNow));
  for (const AgentMode mode : {AgentMode::kDraining, AgentMode::kRetiring, AgentMode::kRetired,
                               AgentMode::kRevoked, AgentMode::kPaused}) {
    CHECK_FALSE(TakesWork(In(mode), kNow));
  }
  const Availability pause = In(AgentMode::kPaused, kNow);
  CHECK_FALSE(TakesWork(pause, kNow - std::chrono::microseconds(1)));
  CHECK(TakesWork(pause, kNow));
  CHECK(ModeAt(pause, kNow) == AgentMode::kActive);
  // A time that belongs to another mode ends nothing.
  CHECK_FALSE(TakesWork(In(AgentMode::kDraining, kNow), kNow));
}

TEST_CASE("AgentMode: nothing brings a retired or revoked agent back, and only retiring retires",
          "[unit][domain]") {
  for (int to = 1; to <= 6; ++to) {
    CHECK_FALSE(MayBecome(AgentMode::kRetired, static_cast<AgentMode>(to)));
    CHECK_FALSE(MayBecome(AgentMode::kRevoked, static_cast<AgentMode>(to)));
  }
  CHECK(MayBecome(AgentMode::kRetiring, AgentMode::kRetired));
  CHECK(MayBecome(AgentMode::kRetiring, AgentMode::kActive));
  CHECK_FALSE(MayBecome(AgentMode::kActive, AgentMode::kRetired));
  CHECK(MayBecome(AgentMode::kPaused, AgentMode::kPaused));
  CHECK(MayBecome(AgentMode::kDraining, AgentMode::kRevoked));
}

TEST_CASE("AgentMode: every mode has a name of its own", "[unit][domain]") {
  for (int value = 1; value <= 6; ++value) {
    const auto mode = static_cast<AgentMode>(value);
    CHECK(ParseAgentMode(AgentModeName(mode)) == mode);
  }
  CHECK_FALSE(ParseAgentMode("asleep"));
}

TEST_CASE("JoinToken: it is open until it is used, revoked or over", "[unit][domain]") {
  const auto second = std::chrono::seconds(1);
  JoinToken token;
  token.token_hash = "0123456789abcdef";
  token.expires_at = kNow;
  CHECK(StateAt(token, kNow - second) == JoinTokenState::kOpen);
  CHECK(StateAt(token, kNow) == JoinTokenState::kExpired);
  token.revoked_at = kNow - second;
  CHECK(StateAt(token, kNow) == JoinTokenState::kRevoked);
  token.used_at = kNow - 2 * second;
  CHECK(StateAt(token, kNow) == JoinTokenState::kUsed);
  CHECK(ShortId(token) == "0123456789ab");
}

}  // namespace
}  // namespace slipway::domain
