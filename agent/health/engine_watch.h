#pragma once

#include "absl/status/status.h"
#include "common/base/time.h"
#include "common/protocol/health.h"

namespace slipway::health {

// Turns the answers to regular pings into the Engine's state. Pure; thread-compatible.
class EngineWatch {
 public:
  // Timeouts in a row that make a hung Engine: one alone may be a busy machine.
  static constexpr int kTimeoutsUntilHung = 2;

  // `now`: since when the Engine is known to be in `state`.
  EngineWatch(protocol::EngineState state, WallTime now) {
    health_.state = state;
    health_.since = now;
  }

  // True: the state is another one now.
  bool OnPing(const absl::Status& answer, WallTime now);

  [[nodiscard]] const protocol::EngineHealth& health() const { return health_; }

 private:
  protocol::EngineHealth health_;
  int timeouts_ = 0;
};

}  // namespace slipway::health
