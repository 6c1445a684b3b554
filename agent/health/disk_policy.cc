#include "agent/health/disk_policy.h"

#include <algorithm>
#include <tuple>

namespace slipway::health {
namespace {

using protocol::DiskState;

// What must be free to be above a threshold; more of it to come back up.
std::uint64_t Wanted(std::uint64_t threshold, std::uint64_t total, bool below_before) {
  if (!below_before || threshold >= total) return std::min(threshold, total);
  // A disk that can never have a quarter more comes back all the same.
  return threshold + std::min(threshold / 4, (total - threshold) / 2);
}

bool Below(const Space& space, const Threshold& threshold, bool below_before) {
  const auto percent = static_cast<std::uint64_t>(std::max(threshold.percent, 0));
  const std::uint64_t bytes =
      std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(threshold.bytes, 0)),
               space.total_bytes / 100 * percent);
  const std::uint64_t inodes =
      space.total_inodes / 100 * percent + space.total_inodes % 100 * percent / 100;
  return space.free_bytes < Wanted(bytes, space.total_bytes, below_before) ||
         space.free_inodes < Wanted(inodes, space.total_inodes, below_before);
}

}  // namespace

DiskState JudgeDisk(DiskState before, const Space& space, const DiskLimits& limits) {
  const bool was_full = before == DiskState::kFull;
  if (Below(space, limits.floor, was_full)) return DiskState::kFull;
  const bool was_tight = before != DiskState::kOk;
  if (Below(space, limits.pressure, was_tight)) return DiskState::kPressure;
  return DiskState::kOk;
}

const Cache* NextToDelete(const std::vector<Cache>& caches) {
  const auto first =
      std::min_element(caches.begin(), caches.end(), [](const Cache& a, const Cache& b) {
        const auto rank = [](const Cache& cache) {
          return std::tuple(cache.kind == CacheKind::kImage, cache.last_used, cache.name);
        };
        return rank(a) < rank(b);
      });
  return first == caches.end() ? nullptr : &*first;
}

const char* CacheKindName(CacheKind kind) {
  switch (kind) {
    case CacheKind::kLeftOver: return "left-over";
    case CacheKind::kWorkTree: return "work tree";
    case CacheKind::kBuildCache: return "build cache";
    case CacheKind::kMirror: return "mirror";
    case CacheKind::kImage: return "image";
  }
  return "";
}

}  // namespace slipway::health
