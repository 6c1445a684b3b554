#include "common/project/paths.h"

#include <algorithm>

namespace slipway::project {

std::optional<std::string> NormalisePath(std::string_view path) {
  if (path.empty() || path.size() > 1024 || path.front() == '/') return std::nullopt;
  std::string result;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part == ".." || part.size() > 255) return std::nullopt;
    if (part.find_first_of("\n\r\t\\") != std::string_view::npos) return std::nullopt;
    result += (result.empty() ? "" : "/") + std::string(part);
  }
  return result.empty() ? "." : result;
}

}  // namespace slipway::project
