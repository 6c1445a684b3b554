#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/protocol/failure.h"

namespace slipway::runner {

struct DiskWatchOptions {
  // What the script can write to.
  std::vector<std::string> directories;
  // Bytes all of them together may take.
  std::int64_t limit_bytes = 0;
  // Least free space of the file system of the first one; the smaller of both counts. Of its inodes
  // at least the percentage stays free.
  std::int64_t floor_bytes = 0;
  int floor_percent = 0;
};

// Looks while a script runs whether it fills the disk: at the free space each time, at the size of
// what it wrote every few seconds (less often when that takes long). Confined to one thread.
class DiskWatch {
 public:
  explicit DiskWatch(DiskWatchOptions options) : options_(std::move(options)) {}

  // The failure to end the script with, if any.
  [[nodiscard]] std::optional<protocol::Failure> Check(MonoTime now);

 private:
  const DiskWatchOptions options_;
  MonoTime next_walk_{};
};

}  // namespace slipway::runner
