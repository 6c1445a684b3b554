#pragma once

#include <git2.h>
#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace slipway::workspace {

// What the file system says of a file that nobody has touched since.
struct FileStamp {
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;

  [[nodiscard]] static FileStamp Of(const struct stat& info);
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

struct RecordedFile {
  std::string path;
  git_oid blob{};
  // Of git.
  std::uint32_t mode = 0;
  FileStamp stamp;
};

// What was written into a work tree and how it looked afterwards; kept where no build can reach it.
// It stays true whatever happens to the tree: a file with another stamp is not the one it speaks
// of. Private to this library. Thread-compatible.
struct TreeRecord {
  // Of this boot of the machine: after a power loss, an untouched inode may have lost its bytes.
  std::string boot;
  // What the files were given to, and a digest of the attributes they were converted with; empty:
  // as they are in git.
  std::string owner;
  std::string attributes;
  // 40 hex digits.
  std::string commit;
  // Files, symbolic links, directories and submodules of the commit.
  std::uint64_t entries = 0;
  // Files and symbolic links by path, in byte order: the order of git's trees.
  std::vector<RecordedFile> files;

  [[nodiscard]] std::string Serialize() const;
  // nullopt: damaged, or of another version.
  [[nodiscard]] static std::optional<TreeRecord> Parse(std::string_view bytes);
};

// Returns when whatever is changed from now on gets another ctime than `ctime_ns`: ctimes have the
// grain of the kernel's tick or of the file system, and a change within it would look like none.
// `probe`: a file of ours on the same file system.
[[nodiscard]] absl::Status WaitForLaterStamps(const std::string& probe, std::int64_t ctime_ns);

}  // namespace slipway::workspace
