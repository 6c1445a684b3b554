#include "agent/caches/cache_limits.h"

#include <algorithm>
#include <limits>
#include <map>

namespace slipway::caches {
namespace {

// One that cannot be counted counts as more than any limit.
std::int64_t Plus(std::int64_t one, std::int64_t other) {
  return one > std::numeric_limits<std::int64_t>::max() - other
             ? std::numeric_limits<std::int64_t>::max()
             : one + other;
}

struct Sum {
  std::int64_t bytes = 0;
  std::size_t number = 0;

  void Add(const SizedCache& cache) {
    bytes = Plus(bytes, cache.bytes);
    ++number;
  }
};

}  // namespace

std::vector<std::size_t> Surplus(const std::vector<SizedCache>& kept, const CacheLimits& limits) {
  // From the latest on each stays that still fits, so that a large one takes no others along.
  std::map<std::string, Sum> applications;
  std::vector<const CacheId*> staying;
  Sum all;
  std::vector<std::size_t> surplus;
  for (std::size_t at = kept.size(); at-- > 0;) {
    const SizedCache& cache = kept[at];
    const auto copies = static_cast<std::size_t>(std::count_if(
        staying.begin(), staying.end(), [&](const CacheId* id) { return *id == cache.id; }));
    Sum own = applications[cache.id.application];
    own.Add(cache);
    Sum total = all;
    total.Add(cache);
    if (copies >= limits.max_copies || own.number > limits.max_per_application ||
        own.bytes > limits.max_bytes_per_application || total.bytes > limits.max_bytes) {
      surplus.push_back(at);
      continue;
    }
    staying.push_back(&cache.id);
    applications[cache.id.application] = own;
    all = total;
  }
  return surplus;
}

}  // namespace slipway::caches
