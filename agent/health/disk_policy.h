#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/protocol/health.h"

// When a disk is too full, and what goes first then. Pure.
namespace slipway::health {

// So much should be free: bytes, or percent of the file system, whichever is less. Of its inodes
// the percentage counts.
struct Threshold {
  std::int64_t bytes = 0;
  int percent = 0;
};

struct DiskLimits {
  // Below it caches are deleted.
  Threshold pressure = {.bytes = std::int64_t{4} << 30, .percent = 10};
  // Below it no new work is taken.
  Threshold floor = {.bytes = std::int64_t{1} << 30, .percent = 5};
};

struct Space {
  std::uint64_t free_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t free_inodes = 0;
  std::uint64_t total_inodes = 0;  // 0: without a fixed number
};

// The state of a disk that was in `before`. A worse state begins below its threshold and ends a
// quarter above it, so that a disk at the edge does not go back and forth.
[[nodiscard]] protocol::DiskState JudgeDisk(protocol::DiskState before, const Space& space,
                                            const DiskLimits& limits);

enum class CacheKind { kLeftOver, kWorkTree, kBuildCache, kMirror, kImage };

// Something of the agent's own that can be made again and that nothing uses at the moment.
struct Cache {
  CacheKind kind = CacheKind::kLeftOver;
  // Says which to its source.
  std::string name;
  // A path on the file system where deleting it makes room.
  std::string path;
  WallTime last_used;
};

// What to delete next: the least recently used; images, which are the dearest to make again, only
// when nothing else is left. nullptr: nothing can be deleted.
[[nodiscard]] const Cache* NextToDelete(const std::vector<Cache>& caches);

[[nodiscard]] const char* CacheKindName(CacheKind kind);

}  // namespace slipway::health
