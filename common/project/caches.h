#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// What builds of one application keep for the next: `caches` of slipway.yaml. Pure.
namespace slipway::project {

struct CacheConfig {
  // [a-z][a-z0-9-]{0,31}
  std::string name;
  // Normalised folder of the work tree; empty: a tool's own cache, which lies outside of it.
  std::string path = {};
  // Of a folder: normalised paths of the files of the commit that it is made from, sorted.
  std::vector<std::string> key = {};

  friend bool operator==(const CacheConfig&, const CacheConfig&) = default;
};

// Of one build, and of key files of one cache.
inline constexpr std::size_t kMaxCaches = 16;
inline constexpr std::size_t kMaxKeyFiles = 16;
// Of one key file.
inline constexpr std::size_t kMaxKeyFileBytes = std::size_t{32} << 20;

// The variable by which the tool is told where its cache is; empty: no tool of that name is known.
[[nodiscard]] std::string_view ToolCacheVariable(std::string_view name);
// "npm, ccache": for messages.
[[nodiscard]] std::string ToolCacheNames();

// Whether one of the folders is the other, or lies in it. Normalised; "." holds all.
[[nodiscard]] bool Overlap(std::string_view one, std::string_view other);
// Whether `path` is `folder` or lies in it.
[[nodiscard]] bool LiesIn(std::string_view path, std::string_view folder);

}  // namespace slipway::project
