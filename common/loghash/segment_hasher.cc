#include "common/loghash/segment_hasher.h"

#include <algorithm>
#include <utility>

namespace slipway::loghash {

SegmentHasher::SegmentHasher(SegmentState state) : state_(std::move(state)) {}

void SegmentHasher::Update(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto take = static_cast<std::size_t>(
        std::min<std::uint64_t>(kSegmentBytes - open_bytes_, bytes.size()));
    open_.Update(bytes.substr(0, take));
    open_bytes_ += take;
    bytes.remove_prefix(take);
    if (open_bytes_ == kSegmentBytes) {
      state_.closed.push_back(open_.Finish());
      open_bytes_ = 0;
    }
  }
}

std::uint64_t SegmentHasher::next() const { return open_segment_start() + open_bytes_; }

std::uint64_t SegmentHasher::open_segment_start() const {
  return state_.closed.size() * kSegmentBytes;
}

Sha256Digest SegmentHasher::Finish() {
  crypto::Sha256Hasher root;
  for (const Sha256Digest& digest : state_.closed) root.Update(digest.Bytes());
  if (open_bytes_ > 0) root.Update(open_.Finish().Bytes());
  return root.Finish();
}

Sha256Digest RootOf(std::string_view log) {
  SegmentHasher hasher;
  hasher.Update(log);
  return hasher.Finish();
}

}  // namespace slipway::loghash
