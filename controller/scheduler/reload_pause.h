#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

#include "common/base/time.h"

namespace slipway::scheduler {

struct ReloadPauseOptions {
  // Before the second reading in a row. Longer spares a database that is in trouble, and makes
  // callers wait for their "in doubt".
  Duration first = std::chrono::milliseconds(250);
  // What it doubles up to. Below the time after which a scheduler that does nothing is thought to
  // hang.
  Duration longest = std::chrono::seconds(4);
};

// How long to wait before the rows are read again after a commit or a reading that failed: not at
// all after the first one, which may have been a broken connection and keeps every agent waiting;
// longer with each that follows, and never as long as anybody else waits.
// Thread-compatible. Reads no clock.
class ReloadPause {
 public:
  // `seed`: of what spreads the waits of several controllers on one database.
  ReloadPause(ReloadPauseOptions options, std::uint64_t seed) : options_(options), spread_(seed) {}

  // Between half of the present limit and all of it.
  Duration Next() {
    const Duration limit = limit_;
    limit_ = std::clamp<Duration>(limit_ * 2, options_.first, options_.longest);
    using Ticks = std::uniform_int_distribution<Duration::rep>;
    return Duration(Ticks(limit.count() / 2, limit.count())(spread_));
  }
  // A commit went well.
  void Reset() { limit_ = Duration::zero(); }

 private:
  const ReloadPauseOptions options_;
  std::mt19937_64 spread_;
  Duration limit_{};
};

}  // namespace slipway::scheduler
