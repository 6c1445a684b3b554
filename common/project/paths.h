#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace slipway::project {

// "./dist//weixin/" → "dist/weixin"; "." is the work tree itself. nullopt: absolute, leaves the
// work tree, or not a path. Pure.
[[nodiscard]] std::optional<std::string> NormalisePath(std::string_view path);

}  // namespace slipway::project
