#include "agent/health/file_systems.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>

namespace slipway::health {

std::uint64_t DeviceOf(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_dev : 0;
}

std::vector<FileSystem> MeasureFileSystems(const std::vector<std::string>& paths) {
  std::vector<FileSystem> found;
  for (const std::string& path : paths) {
    const std::uint64_t device = DeviceOf(path);
    const bool seen = std::any_of(found.begin(), found.end(),
                                  [&](const FileSystem& fs) { return fs.device == device; });
    struct statvfs fs {};
    if (device == 0 || seen || statvfs(path.c_str(), &fs) != 0) continue;
    const std::uint64_t block = fs.f_frsize;
    found.push_back({.device = device,
                     .path = path,
                     .space = {.free_bytes = fs.f_bavail * block,
                               .total_bytes = fs.f_blocks * block,
                               .free_inodes = fs.f_favail,
                               .total_inodes = fs.f_files}});
  }
  return found;
}

}  // namespace slipway::health
