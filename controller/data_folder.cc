#include "controller/data_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/status/status.h"

namespace slipway::controller {

absl::Status MakeFolder(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0) {
    // The umask has taken its part.
    return chmod(path.c_str(), mode) == 0 ? absl::OkStatus() : ErrnoError(errno, path);
  }
  return errno == EEXIST ? absl::OkStatus() : ErrnoError(errno, path);
}

absl::StatusOr<fs::UniqueFd> LockFolder(const std::string& dir) {
  const std::string path = dir + "/controller.lock";
  fs::UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoError(errno, path);
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "DATA_DIR_IN_USE",
                     fmt::format("another slipway-controller uses {}", dir),
                     "Stop it first, or give this one a --data-dir of its own.");
  }
  return fd;
}

}  // namespace slipway::controller
