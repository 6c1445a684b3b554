#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// How much builds may leave for the next ones. Pure.
namespace slipway::caches {

// Which cache: builds of one application with the same key find what the last one left.
struct CacheId {
  std::string application;
  // As slipway.yaml calls it.
  std::string name;
  // Of what the content was made; empty: it may be used whatever the commit holds.
  std::string key = {};

  friend bool operator==(const CacheId&, const CacheId&) = default;
};

struct CacheLimits {
  // Bytes of all applications together, and of each.
  std::int64_t max_bytes = std::int64_t{20} << 30;
  std::int64_t max_bytes_per_application = std::int64_t{5} << 30;
  // Copies of one cache: builds that run at once have one each.
  std::size_t max_copies = 2;
  // Of one application, whatever their size.
  std::size_t max_per_application = 64;
};

struct SizedCache {
  CacheId id;
  // 0 as long as nobody has measured it.
  std::int64_t bytes = 0;
};

// Positions of those that have to go, so that the rest is within the limits: those used last stay
// as long as there is room for them. `kept`: the least recently used first.
[[nodiscard]] std::vector<std::size_t> Surplus(const std::vector<SizedCache>& kept,
                                               const CacheLimits& limits);

}  // namespace slipway::caches
