#include "agent/executor/path_map.h"

#include <string_view>

namespace slipway::executor {
namespace {

std::string_view WithoutTrailingSlash(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

bool IsUnder(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace

std::string ToEnginePath(const std::vector<PathMapping>& map, const std::string& path) {
  const PathMapping* best = nullptr;
  std::size_t matched = 0;
  for (const PathMapping& mapping : map) {
    const std::string_view directory = WithoutTrailingSlash(mapping.agent_path);
    if (!IsUnder(path, directory) || (best && directory.size() <= matched)) continue;
    best = &mapping;
    matched = directory.size();
  }
  if (!best) return path;
  const std::string mapped =
      std::string(WithoutTrailingSlash(best->engine_path)) + path.substr(matched);
  return mapped.empty() ? "/" : mapped;
}

}  // namespace slipway::executor
