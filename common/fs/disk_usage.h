#pragma once

#include <cstdint>
#include <limits>
#include <stop_token>
#include <string>

namespace slipway::fs {

// What DiskUsage says of directories nested deeper than a path reaches.
inline constexpr std::int64_t kUncountable = std::numeric_limits<std::int64_t>::max();

// What a name of a file counts that has others: its share, or, the first one that is met, all of
// it.
enum class HardLinks { kShared, kWhole };

// Bytes allocated below `directory`, the content of which may be changing. Follows no link and
// leaves out what cannot be read; kUncountable when something may hide where no path reaches. Ends
// early when it is told to.
[[nodiscard]] std::int64_t DiskUsage(const std::string& directory, const std::stop_token& stop = {},
                                     HardLinks links = HardLinks::kShared);

}  // namespace slipway::fs
