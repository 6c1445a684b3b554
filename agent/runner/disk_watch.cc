#include "agent/runner/disk_watch.h"

#include <errno.h>
#include <fmt/format.h>
#include <fts.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "agent/runner/failures.h"
#include "common/config/units.h"

namespace slipway::runner {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kBlock = 512;
constexpr Duration kWalkPause = 2s;
// A walk may take this part of the time.
constexpr int kWalkShare = 20;

}  // namespace

std::int64_t DiskUsage(const std::string& directory) {
  std::string path = directory;
  char* roots[] = {path.data(), nullptr};
  const std::unique_ptr<FTS, int (*)(FTS*)> walk(
      fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr), fts_close);
  if (walk == nullptr) return 0;
  std::int64_t bytes = 0;
  while (const FTSENT* entry = fts_read(walk.get())) {
    switch (entry->fts_info) {
      case FTS_F:
      case FTS_SL:
      case FTS_DEFAULT:
        // Each name of a file counts its share.
        bytes += entry->fts_statp->st_blocks * kBlock /
                 static_cast<std::int64_t>(std::max<nlink_t>(entry->fts_statp->st_nlink, 1));
        break;
      case FTS_D: bytes += entry->fts_statp->st_blocks * kBlock; break;
      case FTS_NS:
      case FTS_DNR:
      case FTS_ERR:
        // A script can go on below by relative names.
        if (entry->fts_errno == ENAMETOOLONG) return kUncountable;
        break;
      default: break;
    }
  }
  return bytes;
}

std::optional<protocol::Failure> DiskWatch::Check(MonoTime now) {
  struct statvfs fs {};
  if (!options_.directories.empty() && statvfs(options_.directories.front().c_str(), &fs) == 0) {
    const auto block = static_cast<std::int64_t>(fs.f_frsize);
    const std::int64_t free = static_cast<std::int64_t>(fs.f_bavail) * block;
    const std::int64_t percent =
        static_cast<std::int64_t>(fs.f_blocks) * block / 100 * options_.floor_percent;
    if (free < std::min(options_.floor_bytes, percent)) {
      return MakeFailure(
          reason::kDiskFloor,
          fmt::format(
              "Only {} are left on the agent's disk; the build was ended before it is full.",
              config::FormatSize(free)));
    }
    // Empty files take no bytes; file systems without a fixed number of inodes say 0.
    if (fs.f_files > 0 &&
        fs.f_favail < fs.f_files / 100 * static_cast<fsfilcnt_t>(options_.floor_percent)) {
      return MakeFailure(
          reason::kDiskFloor,
          fmt::format("Only {} more files fit on the agent's disk; the build was ended before.",
                      static_cast<std::uint64_t>(fs.f_favail)));
    }
  }
  if (options_.limit_bytes <= 0 || now < next_walk_) return std::nullopt;
  std::int64_t used = 0;
  for (const std::string& directory : options_.directories) {
    const std::int64_t bytes = DiskUsage(directory);
    if (bytes == kUncountable) {
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
