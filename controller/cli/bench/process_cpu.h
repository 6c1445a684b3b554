#pragma once

#include <sys/types.h>

#include "absl/status/statusor.h"

namespace slipway::bench {

// CPU time that a process of this machine has used so far, in user and system mode, by all its
// threads, in seconds. kInvalidArgument: there is no such process, or it may not be looked at.
[[nodiscard]] absl::StatusOr<double> CpuSeconds(pid_t pid);

}  // namespace slipway::bench
