#pragma once

#include <chrono>
#include <cstdint>

namespace slipway {

using Duration = std::chrono::nanoseconds;

// Two times that must never be mixed: MonoTime measures (leases, timeouts) and means nothing in
// another process; WallTime is shown and stored and may jump.
struct MonoClockTag {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  static constexpr bool is_steady = true;
};
struct WallClockTag {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  static constexpr bool is_steady = false;
};
using MonoTime = std::chrono::time_point<MonoClockTag, Duration>;
using WallTime = std::chrono::time_point<WallClockTag, Duration>;

inline std::int64_t ToUnixMicros(WallTime t) {
  return std::chrono::duration_cast<std::chrono::microseconds>(t.time_since_epoch()).count();
}
inline WallTime FromUnixMicros(std::int64_t us) { return WallTime(std::chrono::microseconds(us)); }

// Where time comes from. Shells own one; cores take `now` as an argument instead.
// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonoTime Mono() const = 0;
  [[nodiscard]] virtual WallTime Wall() const = 0;
};

// The machine's clocks. CLOCK_BOOTTIME, so that a suspended machine does not stretch a lease.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] MonoTime Mono() const override;
  [[nodiscard]] WallTime Wall() const override;
};

}  // namespace slipway
