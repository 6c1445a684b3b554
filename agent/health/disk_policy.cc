#include "agent/health/disk_policy.h"

#include <algorithm>
#include <tuple>

namespace slipway::health {
namespace {

using protocol::DiskState;

// Whether less is free than the threshold asks for, times `num` / 4.
bool Below(const Space& space, const Threshold& threshold, std::uint64_t num) {
  const auto percent = static_cast<std::uint64_t>(std::max(threshold.percent, 0));
  const std::uint64_t bytes =
      std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(threshold.bytes, 0)),
               space.total_bytes / 100 * percent);
  if (space.free_bytes < bytes / 4 * num) return true;
  return space.total_inodes > 0 && space.free_inodes < space.total_inodes / 400 * percent * num;
}

constexpr std::uint64_t kEnter = 4;
constexpr std::uint64_t kLeave = 5;

}  // namespace

DiskState JudgeDisk(DiskState before, const Space& space, const DiskLimits& limits) {
  const bool was_full = before == DiskState::kFull;
  if (Below(space, limits.floor, was_full ? kLeave : kEnter)) return DiskState::kFull;
  const bool was_tight = before != DiskState::kOk;
  if (Below(space, limits.pressure, was_tight ? kLeave : kEnter)) return DiskState::kPressure;
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
    case CacheKind::kMirror: return "mirror";
    case CacheKind::kImage: return "image";
  }
  return "";
}

}  // namespace slipway::health
