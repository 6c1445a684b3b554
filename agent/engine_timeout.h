#pragma once

#include <chrono>

#include "common/base/time.h"

namespace slipway::agent {

// For one call of the Docker Engine, of those that a build waits for.
inline constexpr Duration kEngineTimeout = std::chrono::seconds(60);

}  // namespace slipway::agent
