#include "controller/logs/closed_segments.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/crypto/hash.h"
#include "common/loghash/segment_hasher.h"
#include "common/status/status.h"
#include "controller/logs/segment_files.h"

namespace slipway::logs {

absl::StatusOr<std::shared_ptr<const std::string>> ClosedSegments::Get(
    const std::string& dir, std::uint64_t index, const std::optional<Sha256Digest>& digest) {
  const std::string path = SegmentPath(dir, index);
  {
    const std::lock_guard lock(mu_);
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Entry& entry) { return entry.path == path; });
    if (found != entries_.end()) {
      entries_.splice(entries_.begin(), entries_, found);
      return found->bytes;
    }
  }
  const std::uint64_t begin = index * loghash::kSegmentBytes;
  SLIPWAY_ASSIGN_OR_RETURN(std::string bytes, ReadSlice(dir, begin, loghash::kSegmentBytes));
  if (digest && crypto::Sha256Of(bytes) != *digest) {
    return MakeError(absl::StatusCode::kDataLoss, "LOG_DAMAGED",
                     fmt::format("{} does not hold what was stored: its {} bytes, the log's from "
                                 "{} on, have another SHA-256",
                                 path, bytes.size(), begin));
  }
  auto segment = std::make_shared<const std::string>(std::move(bytes));
  const std::lock_guard lock(mu_);
  entries_.push_front({path, segment});
  if (entries_.size() > options_.capacity) entries_.pop_back();
  return segment;
}

}  // namespace slipway::logs
