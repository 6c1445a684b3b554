#include "common/fs/disk_usage.h"

#include <errno.h>
#include <fts.h>
#include <sys/stat.h>

#include <memory>
#include <unordered_set>

namespace slipway::fs {
namespace {

constexpr std::int64_t kBlock = 512;

std::int64_t BytesOf(const struct stat& info, HardLinks links, std::unordered_set<ino_t>& met) {
  const std::int64_t bytes = info.st_blocks * kBlock;
  if (info.st_nlink <= 1) return bytes;
  if (links == HardLinks::kShared) return bytes / static_cast<std::int64_t>(info.st_nlink);
  return met.insert(info.st_ino).second ? bytes : 0;
}

}  // namespace

std::int64_t DiskUsage(const std::string& directory, const std::stop_token& stop, HardLinks links) {
  std::string path = directory;
  char* roots[] = {path.data(), nullptr};
  const std::unique_ptr<FTS, int (*)(FTS*)> walk(
      fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr), fts_close);
  if (walk == nullptr) return 0;
  std::int64_t bytes = 0;
  std::unordered_set<ino_t> met;  // one file system, see FTS_XDEV
  while (const FTSENT* entry = fts_read(walk.get())) {
    if (stop.stop_requested()) break;
    switch (entry->fts_info) {
      case FTS_F:
      case FTS_SL:
      case FTS_DEFAULT: bytes += BytesOf(*entry->fts_statp, links, met); break;
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

}  // namespace slipway::fs
