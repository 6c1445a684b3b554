#pragma once

#include <string>
#include <vector>

namespace slipway::executor {

// The operator's `docker.engine_path_map`: where the agent's directories are on the machine of the
// Engine, for an agent that lives in a container itself. Empty for one that does not.
struct PathMapping {
  std::string agent_path;   // "/var/lib/slipway"
  std::string engine_path;  // "/srv/slipway-agent"
};

// `path` as the Engine sees it, by the mapping whose agent_path is its longest leading part, cut at
// a '/'. A path under none of them is the same on both sides. Pure.
[[nodiscard]] std::string ToEnginePath(const std::vector<PathMapping>& map,
                                       const std::string& path);

}  // namespace slipway::executor
