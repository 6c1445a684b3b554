#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/base/digest.h"
#include "common/crypto/hash.h"

// The hash of a log: SHA-256 over the concatenated SHA-256 digests of its segments. A running
// SHA-256 cannot be saved, so a plain hash of a long log would have to be computed again from its
// first byte after every restart; with segments, from the start of the open one.
namespace slipway::loghash {

// Length of every segment but the last. Part of the protocol: both sides must agree.
inline constexpr std::uint64_t kSegmentBytes = 4ULL * 1024 * 1024;

// What has to be kept to go on hashing in another process.
struct SegmentState {
  // Digests of the closed segments, in order; the bytes they cover need not be read again.
  std::vector<Sha256Digest> closed;

  friend bool operator==(const SegmentState&, const SegmentState&) = default;
};

// Computes the root of a log that is fed in order, at contiguous offsets. Used by both sides: by
// the agent as the log grows, by the controller when it stores. Thread-compatible.
class SegmentHasher {
 public:
  SegmentHasher() = default;
  // Goes on behind the closed segments: the next byte wanted is the first of the open segment.
  explicit SegmentHasher(SegmentState state);

  // REQUIRES: the bytes are those at offset next(). Their split over calls does not matter.
  void Update(std::string_view bytes);

  // Offset of the next byte wanted.
  [[nodiscard]] std::uint64_t next() const;
  // Where a resumed hasher would begin: the start of the open segment.
  [[nodiscard]] std::uint64_t open_segment_start() const;
  [[nodiscard]] const SegmentState& state() const { return state_; }

  // The root of the bytes fed; the hasher is used up. Of an empty log: the SHA-256 of nothing.
  [[nodiscard]] Sha256Digest Finish();

 private:
  SegmentState state_;
  crypto::Sha256Hasher open_;
  std::uint64_t open_bytes_ = 0;
};

// The root of a whole log in memory.
[[nodiscard]] Sha256Digest RootOf(std::string_view log);

}  // namespace slipway::loghash
