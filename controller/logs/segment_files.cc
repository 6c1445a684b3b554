#include "controller/logs/segment_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "common/loghash/segment_hasher.h"
#include "common/status/status.h"

namespace slipway::logs {
namespace {

using loghash::kSegmentBytes;

// Half the time of level 3; logs get about as small.
constexpr int kCompressionLevel = 1;

absl::StatusOr<std::string> ReadAt(int fd, std::uint64_t offset, std::size_t max) {
  std::string data(max, '\0');
  std::size_t have = 0;
  while (have < max) {
    const ssize_t n = pread(fd, data.data() + have, max - have, static_cast<off_t>(offset + have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "reading a log");
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  data.resize(have);
  return data;
}

absl::StatusOr<std::string> ReadWhole(const std::string& path, std::size_t limit) {
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd fd, OpenFile(path, O_RDONLY));
  return ReadAt(fd.get(), 0, limit);
}

std::optional<std::uint64_t> FileSize(const std::string& path) {
  struct stat st {};
  if (stat(path.c_str(), &st) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(st.st_size);
}

absl::StatusOr<std::string> Decompress(const std::string& path) {
  SLIPWAY_ASSIGN_OR_RETURN(const std::string packed,
                           ReadWhole(path, ZSTD_compressBound(kSegmentBytes)));
  std::string raw(kSegmentBytes, '\0');
  const std::size_t n = ZSTD_decompress(raw.data(), raw.size(), packed.data(), packed.size());
  if (ZSTD_isError(n) != 0U) {
    return MakeError(absl::StatusCode::kDataLoss, "LOG_DAMAGED",
                     fmt::format("{}: {}", path, ZSTD_getErrorName(n)));
  }
  raw.resize(n);
  return raw;
}

}  // namespace

std::string LogDir(const std::string& root, const AttemptKey& key) {
  return fmt::format("{}/{}/{}", root, key.task.value(), key.attempt.value());
}

std::string SegmentPath(const std::string& dir, std::uint64_t index) {
  return fmt::format("{}/{:06}", dir, index);
}

absl::StatusOr<fs::UniqueFd> OpenFile(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return ErrnoError(errno, path);
  return fs::UniqueFd(fd);
}

absl::Status SyncDir(const std::string& dir) {
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd fd, OpenFile(dir, O_RDONLY | O_DIRECTORY));
  if (fsync(fd.get()) != 0) return ErrnoError(errno, dir);
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, std::string_view data, std::uint64_t offset) {
  while (!data.empty()) {
    const ssize_t n = pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "writing a log");
    data.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return absl::OkStatus();
}

absl::Status WriteFileDurably(const std::string& path, std::string_view text) {
  const std::string temporary = path + ".tmp";
  const auto write = [&]() -> absl::Status {
    SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd fd,
                             OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC));
    SLIPWAY_RETURN_IF_ERROR(WriteAll(fd.get(), text, 0));
    if (fsync(fd.get()) != 0) return ErrnoError(errno, temporary);
    return rename(temporary.c_str(), path.c_str()) == 0 ? absl::OkStatus()
                                                        : ErrnoError(errno, path);
  };
  if (absl::Status status = write(); !status.ok()) {
    // Most likely the disk is full: it shall not be by this.
    unlink(temporary.c_str());
    return status;
  }
  return SyncDir(path.substr(0, path.rfind('/')));
}

absl::StatusOr<std::uint64_t> RecoverSize(const std::string& dir) {
  std::uint64_t total = 0;
  std::uint64_t index = 0;
  for (;; ++index) {
    const auto size = FileSize(SegmentPath(dir, index));
    if (!size) break;
    total += std::min(*size, kSegmentBytes);
    if (*size < kSegmentBytes) {
      ++index;
      break;
    }
  }
  for (;; ++index) {
    const std::string behind = SegmentPath(dir, index);
    if (!FileSize(behind)) break;
    if (unlink(behind.c_str()) != 0) return ErrnoError(errno, behind);
  }
  return total;
}

absl::StatusOr<std::vector<Sha256Digest>> RecoverHashes(const std::string& dir,
                                                        std::uint64_t size) {
  const std::uint64_t closed = size / kSegmentBytes;
  const std::string path = dir + "/hashes";
  std::string stored;
  if (FileSize(path)) {
    SLIPWAY_ASSIGN_OR_RETURN(stored, ReadWhole(path, closed * Sha256Digest::kSize));
  }
  std::vector<Sha256Digest> digests;
  for (std::uint64_t i = 0; i < closed; ++i) {
    const std::size_t at = i * Sha256Digest::kSize;
    if (at + Sha256Digest::kSize <= stored.size()) {
      digests.push_back(
          *Sha256Digest::FromBytes(std::string_view(stored).substr(at, Sha256Digest::kSize)));
      continue;
    }
    SLIPWAY_ASSIGN_OR_RETURN(const std::string bytes,
                             ReadWhole(SegmentPath(dir, i), kSegmentBytes));
    digests.push_back(crypto::Sha256Of(bytes));
  }
  std::string text;
  for (const auto& digest : digests) text += digest.Bytes();
  if (text != stored) SLIPWAY_RETURN_IF_ERROR(WriteFileDurably(path, text));
  return digests;
}

absl::StatusOr<std::optional<Sha256Digest>> ReadDigest(const std::string& dir,
                                                       std::uint64_t index) {
  const std::string path = dir + "/hashes";
  if (!FileSize(path)) return std::optional<Sha256Digest>();
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd fd, OpenFile(path, O_RDONLY));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string bytes,
                           ReadAt(fd.get(), index * Sha256Digest::kSize, Sha256Digest::kSize));
  return Sha256Digest::FromBytes(bytes);
}

absl::StatusOr<std::optional<StoredSeal>> ReadSeal(const std::string& dir) {
  const std::string path = dir + "/seal";
  if (!FileSize(path)) return std::optional<StoredSeal>();
  SLIPWAY_ASSIGN_OR_RETURN(const std::string text, ReadWhole(path, 256));
  char word[16] = {};
  char hex[65] = {};
  unsigned long long size = 0;
  unsigned long long missing = 0;
  const int fields = std::sscanf(text.c_str(), "%15s %llu %llu %64s", word, &size, &missing, hex);
  StoredSeal seal{{std::string_view(word) == "complete", missing}, size, std::nullopt};
  if (fields == 4) seal.last = Sha256Digest::Parse(hex);
  if (fields < 3 || (fields == 4 && !seal.last)) {
    return MakeError(absl::StatusCode::kDataLoss, "LOG_DAMAGED", path + " cannot be read");
  }
  return seal;
}

absl::Status WriteSeal(const std::string& dir, const StoredSeal& seal) {
  return WriteFileDurably(
      dir + "/seal",
      fmt::format("{} {} {}{}\n", seal.seal.complete ? "complete" : "incomplete", seal.size,
                  seal.seal.missing, seal.last ? " " + seal.last->Hex() : ""));
}

absl::StatusOr<std::string> ReadSlice(const std::string& dir, std::uint64_t offset,
                                      std::size_t max) {
  const std::string raw = SegmentPath(dir, offset / kSegmentBytes);
  const std::uint64_t at = offset % kSegmentBytes;
  const std::size_t want = std::min<std::uint64_t>(max, kSegmentBytes - at);
  // Compression replaces the raw file at any moment; then the other one is there.
  if (auto fd = OpenFile(raw, O_RDONLY); fd.ok()) return ReadAt(fd->get(), at, want);
  if (!FileSize(raw + ".zst")) return std::string();
  SLIPWAY_ASSIGN_OR_RETURN(const std::string segment, Decompress(raw + ".zst"));
  return at < segment.size() ? segment.substr(at, want) : std::string();
}

absl::Status CompressSegments(const std::string& dir, std::uint64_t size) {
  std::string packed(ZSTD_compressBound(kSegmentBytes), '\0');
  for (std::uint64_t i = 0; i * kSegmentBytes < size; ++i) {
    const std::string raw = SegmentPath(dir, i);
    if (!FileSize(raw)) continue;
    SLIPWAY_ASSIGN_OR_RETURN(const std::string bytes, ReadWhole(raw, kSegmentBytes));
    const std::size_t n =
        ZSTD_compress(packed.data(), packed.size(), bytes.data(), bytes.size(), kCompressionLevel);
    if (ZSTD_isError(n) != 0U) return absl::InternalError(ZSTD_getErrorName(n));
    SLIPWAY_RETURN_IF_ERROR(WriteFileDurably(raw + ".zst", std::string_view(packed.data(), n)));
    if (unlink(raw.c_str()) != 0) return ErrnoError(errno, raw);
  }
  return absl::OkStatus();
}

}  // namespace slipway::logs
