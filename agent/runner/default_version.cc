#include "agent/runner/default_version.h"

#include <fmt/format.h>
#include <time.h>

namespace slipway::runner {

std::string DefaultVersion(WallTime commit_time) {
  const auto seconds = static_cast<time_t>(ToUnixMicros(commit_time) / 1'000'000);
  tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{}.{}.{}", parts.tm_year + 1900, (parts.tm_mon + 1) * 100 + parts.tm_mday,
                     parts.tm_hour * 100 + parts.tm_min);
}

}  // namespace slipway::runner
