#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/health/disk_policy.h"

namespace slipway::health {

struct FileSystem {
  std::uint64_t device = 0;
  std::string path;  // the first of those asked for that lies on it
  Space space;
};

// The file systems of `paths`, each once, in that order. A path that is not there, or whose file
// system cannot say, is left out.
[[nodiscard]] std::vector<FileSystem> MeasureFileSystems(const std::vector<std::string>& paths);

// The device that `path` lies on; 0: there is none.
[[nodiscard]] std::uint64_t DeviceOf(const std::string& path);

}  // namespace slipway::health
