#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

#include "common/base/time.h"

namespace slipway::link {

// How long to wait between streams: random up to a bound, so that agents that lost one controller
// do not come back as one. The bound doubles with each stream that failed, and begins anew after
// one that was good: the controller spoke on it, and no log stream ended it soon afterwards.
// Confined to one thread.
class ReconnectPause {
 public:
  ReconnectPause(Duration min, Duration max, std::uint64_t seed)
      : min_(min), max_(max), bound_(min), random_(seed) {}

  // After a stream. `spoke_for`: since the controller's first word on it; zero: it said none.
  // `log_failed`: a log stream that broke ended it. That alone is no sign of trouble, as whatever
  // breaks the connection breaks them all; but a controller that cannot take a log must not be
  // asked anew without a pause.
  [[nodiscard]] Duration Next(Duration spoke_for, bool log_failed) {
    if (spoke_for > (log_failed ? kSoon : Duration::zero())) bound_ = min_;
    const Duration pause(std::uniform_int_distribution<Duration::rep>(0, bound_.count())(random_));
    bound_ = std::min(2 * bound_, max_);
    return pause;
  }

 private:
  static constexpr Duration kSoon = std::chrono::seconds(1);

  const Duration min_;
  const Duration max_;
  Duration bound_;
  std::mt19937_64 random_;
};

}  // namespace slipway::link
