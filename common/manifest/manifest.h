#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"

namespace slipway::manifest {

enum class EntryKind : std::uint8_t { kFile, kDirectory, kSymlink };

// One name of a tree. Which fields count depends on `kind`; the others keep their defaults.
struct Entry {
  // Relative, '/' between components, valid UTF-8, case kept; never empty, absolute, with ".",
  // "..", an empty component or a control character.
  std::string path{};
  EntryKind kind = EntryKind::kFile;
  // Files: 0755 instead of 0644. Nothing else of a mode is kept.
  bool executable = false;
  // Files: uncompressed size in bytes and the digest of the uncompressed bytes.
  std::uint64_t size = 0;
  Sha256Digest digest{};
  // Symlinks: any number of leading "..", then plain components; stays inside the tree.
  std::string target{};

  friend auto operator<=>(const Entry&, const Entry&) = default;
};

// What Parse and Create accept at most.
struct ManifestLimits {
  std::size_t max_entries = 1'000'000;
  std::size_t max_encoded_bytes = std::size_t{256} << 20;
};

// The content of a tree: files, symlinks and the directories that would otherwise be lost because
// nothing is in them. Its canonical text (docs/archive.md) is unique per content, so that the
// text's SHA-256 names the tree. Holds no file bytes.
//
// Invariants: entries strictly ascending by the bytes of their path; no path leads through another
// entry; every entry is safe to create below an empty directory. A value that exists is valid.
//
// Thread-compatible.
class Manifest {
 public:
  // The manifest of an empty tree.
  Manifest() = default;

  // Sorts and checks. kInvalidArgument names the path that is unsafe, doubled, or leads through
  // another entry; kResourceExhausted when a limit is passed.
  static absl::StatusOr<Manifest> Create(std::vector<Entry> entries,
                                         const ManifestLimits& limits = {});

  // Reads the canonical text and refuses every other spelling of the same content, so that
  // Encode() gives back the same bytes. Errors name the line, or the paths that do not go together.
  static absl::StatusOr<Manifest> Parse(std::string_view text, const ManifestLimits& limits = {});

  [[nodiscard]] std::string Encode() const;
  // SHA-256 of Encode(). Encodes each time: keep the result.
  [[nodiscard]] Sha256Digest Digest() const;

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  // Number of files, and the sum of their uncompressed sizes in bytes.
  [[nodiscard]] std::size_t file_count() const { return file_count_; }
  [[nodiscard]] std::uint64_t total_bytes() const { return total_bytes_; }

  friend bool operator==(const Manifest&, const Manifest&) = default;

 private:
  std::vector<Entry> entries_;
  std::size_t file_count_ = 0;
  std::uint64_t total_bytes_ = 0;
};

// One blob that a manifest needs.
struct BlobRef {
  Sha256Digest digest{};
  std::uint64_t size = 0;  // uncompressed bytes

  friend auto operator<=>(const BlobRef&, const BlobRef&) = default;
};
// Every blob once, in the order of its first file.
std::vector<BlobRef> DistinctBlobs(const Manifest& manifest);

// Ok when `path` may stand in a manifest; kInvalidArgument says what is wrong with it.
absl::Status CheckPath(std::string_view path);
// The same for the target of a symlink at `path`.
absl::Status CheckSymlink(std::string_view path, std::string_view target);
// `text` with everything but printable characters escaped, for messages about hostile names.
std::string Printable(std::string_view text);

}  // namespace slipway::manifest
