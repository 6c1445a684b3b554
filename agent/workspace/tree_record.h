#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

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
  // Hex id of the blob, and its git mode.
  std::string blob;
  std::uint32_t mode = 0;
  FileStamp stamp;
};

// What was written into a work tree and how it looked afterwards; kept where no build can reach it.
// Private to this library. Thread-compatible.
struct TreeRecord {
  // Of this boot of the machine: after a power loss, an untouched inode may have lost its bytes.
  std::string boot;
  // Owner the files were given, and digest of the attributes they were converted with.
  std::string conversion;
  std::unordered_map<std::string, RecordedFile> files;

  [[nodiscard]] std::string Serialize() const;
  // nullopt: damaged, or of another version.
  [[nodiscard]] static std::optional<TreeRecord> Parse(std::string_view bytes);
};

[[nodiscard]] std::string CurrentBoot();

}  // namespace slipway::workspace
