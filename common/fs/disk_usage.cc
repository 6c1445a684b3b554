#include "common/fs/disk_usage.h"

#include <errno.h>
#include <fts.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

namespace slipway::fs {
namespace {

constexpr std::int64_t kBlock = 512;

}  // namespace

std::int64_t DiskUsage(const std::string& directory, const std::stop_token& stop) {
  std::string path = directory;
  char* roots[] = {path.data(), nullptr};
  const std::unique_ptr<FTS, int (*)(FTS*)> walk(
      fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr), fts_close);
  if (walk == nullptr) return 0;
  std::int64_t bytes = 0;
  while (const FTSENT* entry = fts_read(walk.get())) {
    if (stop.stop_requested()) break;
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

}  // namespace slipway::fs
