#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/initlink/control_dir.h"

namespace slipway::initlink {

// The bytes from `offset` on were read from the step at `unix_us`.
struct TimeMark {
  std::uint64_t offset = 0;
  std::int64_t unix_us = 0;

  friend bool operator==(const TimeMark&, const TimeMark&) = default;
};

// The agent's end of the log file: reads masked bytes by offset and frees what the controller
// holds. Needs neither slipway-init nor the container to be alive. Thread-compatible.
class SpoolReader {
 public:
  // Least progress that is worth a system call.
  static constexpr std::uint64_t kPunchStep = std::uint64_t{256} << 10;

  // CONTROL_DIR_TAMPERED: see ControlDir::OpenLog.
  [[nodiscard]] static absl::StatusOr<SpoolReader> Open(const ControlDir& dir);

  // Bytes in the log now.
  [[nodiscard]] absl::StatusOr<std::uint64_t> End() const;

  // Reads up to `size` bytes at `offset`; 0 at the end. kDataLoss: the log is shorter than
  // `offset`. Freed ranges read as zeros: never read below what FreeBelow was given.
  [[nodiscard]] absl::StatusOr<std::size_t> Read(std::uint64_t offset, char* buffer,
                                                 std::size_t size) const;

  // Gives the disk space below `durable` back; offsets stay. Does nothing before kPunchStep has
  // gathered, and nothing on file systems without holes.
  [[nodiscard]] absl::Status FreeBelow(std::uint64_t durable);

  // The mark that covers `offset` and those after it, at most `limit`, ascending. Empty before the
  // first output.
  [[nodiscard]] absl::StatusOr<std::vector<TimeMark>> TimesSince(std::uint64_t offset,
                                                                 std::size_t limit = 4096) const;

 private:
  SpoolReader(Fd log, Fd times) : log_(std::move(log)), times_(std::move(times)) {}

  Fd log_;
  Fd times_;
  std::uint64_t freed_ = 0;
};

}  // namespace slipway::initlink
