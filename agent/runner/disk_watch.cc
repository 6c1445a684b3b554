#include "agent/runner/disk_watch.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <chrono>

#include "agent/runner/failures.h"
#include "common/config/units.h"
#include "common/fs/disk_usage.h"

namespace slipway::runner {
namespace {

using namespace std::chrono_literals;

constexpr Duration kWalkPause = 2s;
// A walk may take this part of the time.
constexpr int kWalkShare = 20;

}  // namespace

std::optional<protocol::Failure> DiskWatch::Check(MonoTime now) {
  struct statvfs disk {};
  if (!options_.directories.empty() && statvfs(options_.directories.front().c_str(), &disk) == 0) {
    const auto block = static_cast<std::int64_t>(disk.f_frsize);
    const std::int64_t free = static_cast<std::int64_t>(disk.f_bavail) * block;
    const std::int64_t percent =
        static_cast<std::int64_t>(disk.f_blocks) * block / 100 * options_.floor_percent;
    if (free < std::min(options_.floor_bytes, percent)) {
      return MakeFailure(
          reason::kDiskFloor,
          fmt::format(
              "Only {} are left on the agent's disk; the build was ended before it is full.",
              config::FormatSize(free)));
    }
    // Empty files take no bytes; file systems without a fixed number of inodes say 0.
    if (disk.f_files > 0 &&
        disk.f_favail < disk.f_files / 100 * static_cast<fsfilcnt_t>(options_.floor_percent)) {
      return MakeFailure(
          reason::kDiskFloor,
          fmt::format("Only {} more files fit on the agent's disk; the build was ended before.",
                      static_cast<std::uint64_t>(disk.f_favail)));
    }
  }
  if (options_.limit_bytes <= 0 || now < next_walk_) return std::nullopt;
  std::int64_t used = 0;
  for (const std::string& directory : options_.directories) {
    const std::int64_t bytes = fs::DiskUsage(directory);
    if (bytes == fs::kUncountable) {
      return MakeFailure(reason::kDiskLimit,
                         "The build nested directories too deep for its disk use to be counted.");
    }
    used += bytes;
  }
  const Duration took = SystemClock().Mono() - now;
  next_walk_ = now + std::max(kWalkPause, took * kWalkShare);
  if (used <= options_.limit_bytes) return std::nullopt;
  return MakeFailure(
      reason::kDiskLimit,
      fmt::format("The build holds {} of disk, more than its limit of {}.",
                  config::FormatSize(used), config::FormatSize(options_.limit_bytes)));
}

}  // namespace slipway::runner
