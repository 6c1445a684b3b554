#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slipway::cli::catalog {

struct DiffLine {
  char sign = ' ';  // ' ', '-' or '+'
  std::string text;
  friend bool operator==(const DiffLine&, const DiffLine&) = default;
};

// The fewest lines to take away and add that make `after` of `before`, among the lines that stay.
// For texts of some hundred lines: its time is their product. Pure.
[[nodiscard]] std::vector<DiffLine> UnifiedDiff(std::string_view before, std::string_view after);

}  // namespace slipway::cli::catalog
