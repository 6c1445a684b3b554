#include "agent/health/engine_watch.h"

#include <string>

namespace slipway::health {

using protocol::EngineState;

bool EngineWatch::OnPing(const absl::Status& answer, WallTime now) {
  EngineState state = EngineState::kOk;
  if (answer.code() == absl::StatusCode::kDeadlineExceeded) {
    state = ++timeouts_ >= kTimeoutsUntilHung ? EngineState::kHung : health_.state;
  } else {
    timeouts_ = 0;
    if (!answer.ok()) state = EngineState::kDown;
  }
  const bool changed = state != health_.state;
  if (changed) health_.since = now;
  health_.state = state;
  health_.words = state == EngineState::kOk ? "" : std::string(answer.message());
  return changed;
}

}  // namespace slipway::health
