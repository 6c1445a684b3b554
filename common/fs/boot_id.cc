#include "common/fs/boot_id.h"

#include <fstream>

namespace slipway::fs {

std::string BootId() {
  // Not by size: files of /proc have none.
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace slipway::fs
