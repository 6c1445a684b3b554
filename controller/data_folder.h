#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/fs/unique_fd.h"

namespace slipway::controller {

// Makes the folder with this mode, whatever the umask says; one that is there stays as it is.
[[nodiscard]] absl::Status MakeFolder(const std::string& path, mode_t mode);

// The data directory is this process's alone until the descriptor is closed.
// kFailedPrecondition, reason DATA_DIR_IN_USE.
[[nodiscard]] absl::StatusOr<fs::UniqueFd> LockFolder(const std::string& dir);

}  // namespace slipway::controller
