#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"

namespace slipway::link {

// Bytes from `offset` on were printed at that time.
struct LogMark {
  std::uint64_t offset = 0;
  std::int64_t unix_micros = 0;
};

// Where the link reads the bytes that it sends. Thread-safe.
class LogSource {
 public:
  virtual ~LogSource() = default;
  // Up to `size` bytes of the attempt's log at `offset`; 0: there are none (any more).
  [[nodiscard]] virtual absl::StatusOr<std::size_t> ReadLog(const AttemptKey& key,
                                                            std::uint64_t offset, char* buffer,
                                                            std::size_t size) = 0;
  // The marks within [begin, end), ascending.
  [[nodiscard]] virtual std::vector<LogMark> LogMarks(const AttemptKey& key, std::uint64_t begin,
                                                      std::uint64_t end) = 0;
};

}  // namespace slipway::link
