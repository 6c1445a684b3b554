#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/digest.h"

namespace slipway::logs {

// Segments that do not change any more, as readers get them: whole, unpacked, and compared with the
// digest of the bytes that came from the agent. A disk that forgot or changed some is found out
// here.
//
// Keeps the ones that were read last, for all readers together: who reads a segment in small slices
// has it read, unpacked and hashed once. Thread-safe; several threads may load at the same time.
class ClosedSegments {
 public:
  struct Options {
    // Segments of loghash::kSegmentBytes in memory. With more readers at once than this, each at a
    // place of its own, segments are loaded more than once.
    std::size_t capacity = 4;
  };

  explicit ClosedSegments(Options options) : options_(options) {}

  // Segment `index` of the log in `dir`. `digest`: of its bytes; nullopt: nobody knows, so nothing
  // is compared. kDataLoss, reason LOG_DAMAGED: the disk holds other bytes, or none that can be
  // unpacked; the message says which of the log.
  [[nodiscard]] absl::StatusOr<std::shared_ptr<const std::string>> Get(
      const std::string& dir, std::uint64_t index, const std::optional<Sha256Digest>& digest);

 private:
  struct Entry {
    std::string path;
    std::shared_ptr<const std::string> bytes;
  };

  const Options options_;

  std::mutex mu_;
  std::list<Entry> entries_;  // the one used last is first
};

}  // namespace slipway::logs
