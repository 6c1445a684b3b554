#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/fs/unique_fd.h"
#include "controller/logs/log_store.h"

// The files of one attempt's log, and nothing about who writes or reads them:
//   <root>/<task>/<attempt>/000000 …   segments of kSegmentBytes, the last one shorter
//   <root>/<task>/<attempt>/000000.zst the same once compressed
//   …/hashes   32 bytes per closed segment;  …/times  (offset, unix micros) as two u64 LE
//   …/seal     "complete|incomplete SIZE MISSING SHA256\n", the last word being the last segment's
//              digest in hex, when that is shorter than the others
namespace slipway::logs {

std::string LogDir(const std::string& root, const AttemptKey& key);
std::string SegmentPath(const std::string& dir, std::uint64_t index);

absl::StatusOr<fs::UniqueFd> OpenFile(const std::string& path, int flags);
absl::Status SyncDir(const std::string& dir);
absl::Status WriteAll(int fd, std::string_view data, std::uint64_t offset);
// Replaces `path` durably.
absl::Status WriteFileDurably(const std::string& path, std::string_view text);

// Bytes of raw segments that follow each other from the first; deletes what lies behind a short one
// (left by a crash between two syncs).
absl::StatusOr<std::uint64_t> RecoverSize(const std::string& dir);
// Digests of the closed segments of a log of `size` raw bytes; computes and stores missing ones.
absl::StatusOr<std::vector<Sha256Digest>> RecoverHashes(const std::string& dir, std::uint64_t size);

// The digest of closed segment `index`; nullopt: none is stored.
absl::StatusOr<std::optional<Sha256Digest>> ReadDigest(const std::string& dir, std::uint64_t index);

struct StoredSeal {
  LogSeal seal;
  std::uint64_t size = 0;
  // Of the last segment when it is shorter than the others. Seals of earlier releases have none.
  std::optional<Sha256Digest> last;
};
absl::StatusOr<std::optional<StoredSeal>> ReadSeal(const std::string& dir);
absl::Status WriteSeal(const std::string& dir, const StoredSeal& seal);

// Up to `max` bytes at `offset` out of the segment that holds it, raw or compressed, as they are on
// the disk; empty past the end.
absl::StatusOr<std::string> ReadSlice(const std::string& dir, std::uint64_t offset,
                                      std::size_t max);

// Compresses every raw segment. Readers at work see either form.
absl::Status CompressSegments(const std::string& dir, std::uint64_t size);

}  // namespace slipway::logs
