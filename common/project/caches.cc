#include "common/project/caches.h"

#include <algorithm>
#include <array>

namespace slipway::project {
namespace {

struct Tool {
  std::string_view name;
  std::string_view variable;
};
constexpr std::array<Tool, 2> kTools{{{"npm", "npm_config_cache"}, {"ccache", "CCACHE_DIR"}}};

}  // namespace

std::string_view ToolCacheVariable(std::string_view name) {
  const auto* const tool =
      std::find_if(kTools.begin(), kTools.end(), [&](const Tool& one) { return one.name == name; });
  return tool == kTools.end() ? std::string_view() : tool->variable;
}

std::string ToolCacheNames() {
  std::string names;
  for (const Tool& tool : kTools) names += (names.empty() ? "" : ", ") + std::string(tool.name);
  return names;
}

bool LiesIn(std::string_view path, std::string_view folder) {
  if (folder == "." || path == folder) return true;
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

bool Overlap(std::string_view one, std::string_view other) {
  return LiesIn(one, other) || LiesIn(other, one);
}

}  // namespace slipway::project
