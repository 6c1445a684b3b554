#pragma once

#include <optional>

#include "common/base/time.h"
#include "common/protocol/failure.h"
#include "controller/domain/task.h"

// What follows the failure of an attempt. Pure functions.
namespace slipway::scheduler {

enum class Retry {
  kNever,       // somebody has to act first
  kAtOnce,      // what failed is gone; waiting would change nothing
  kAfterPause,  // what failed may recover
};

// The table of docs/protocol.md, for builds and probes.
[[nodiscard]] Retry RetryOf(protocol::FailureClass klass);

struct RetryLimits {
  // Starts of one task in all; the cap of crash loops.
  int max_starts = 3;
  // Pause after the first start; doubles with each further one up to the longest.
  Duration first_pause = std::chrono::seconds(5);
  Duration longest_pause = std::chrono::minutes(5);
};

// How long a task pauses before it is offered again, when the last of its `starts` attempts ended
// with `klass`; nullopt: the failure is final. A publish is never tried again.
[[nodiscard]] std::optional<Duration> PauseBeforeRetry(domain::TaskKind kind,
                                                       protocol::FailureClass klass, int starts,
                                                       const RetryLimits& limits);

}  // namespace slipway::scheduler
