#pragma once

#include "absl/status/status.h"
#include "common/protocol/failure.h"

namespace slipway::workspace {

// What a failed call of this library or of common/git means for the task:
//   REPOSITORY_URL_INVALID, REF_UNKNOWN, FILE_UNKNOWN, FILE_TOO_LARGE, CONFIG_INVALID,
//   SCRIPT_RESULT_INVALID                        → build
//   REPOSITORY_UNREACHABLE, REPOSITORY_TIMEOUT   → network
//   REPOSITORY_ACCESS_DENIED                     → credential
//   REPOSITORY_REFUSED, REPOSITORY_TOO_LARGE     → policy
//   CANCELED (kCancelled)                        → canceled
//   everything else                              → infrastructure
// REQUIRES: not ok.
[[nodiscard]] protocol::Failure ToFailure(const absl::Status& status);

}  // namespace slipway::workspace
