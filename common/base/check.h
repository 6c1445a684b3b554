#pragma once

namespace slipway::internal {
[[noreturn]] void CheckFailed(const char* expression, const char* file, int line);
}  // namespace slipway::internal

// Holds or the process is broken: aborts in every build. Never for input.
#define SLIPWAY_CHECK(expression)                                                         \
  do {                                                                                    \
    if (!(expression)) ::slipway::internal::CheckFailed(#expression, __FILE__, __LINE__); \
  } while (false)

// The same, in builds with SLIPWAY_DEBUG_CHECKS only.
#ifdef SLIPWAY_DEBUG_CHECKS
#define SLIPWAY_DCHECK(expression) SLIPWAY_CHECK(expression)
#else
#define SLIPWAY_DCHECK(expression) \
  do {                             \
  } while (false && (expression))
#endif
