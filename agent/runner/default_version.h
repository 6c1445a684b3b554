#pragma once

#include <string>

#include "common/base/time.h"

namespace slipway::runner {

// The version of a build that nobody named: of the commit's time in UTC, "2026.1121.930" for
// 2026-11-21 09:30. Numbers only, as some platforms want it, and rising with the commits.
[[nodiscard]] std::string DefaultVersion(WallTime commit_time);

}  // namespace slipway::runner
