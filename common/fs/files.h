#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/fs/unique_fd.h"

// File access that survives interrupted calls and, in the *Below functions, a tree that somebody
// hostile may have written or may still be writing. Errors name `what` or the path. Thread-safe.
namespace slipway::fs {

// Opens a directory by a trusted path.
absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path);

// Opens `relative` below `directory` ("" or "." is the directory itself). Follows no symlink in any
// component and never blocks. kInvalidArgument: an absolute path, "..", or a symlink on the way.
absl::StatusOr<UniqueFd> OpenBelow(int directory, std::string_view relative, int flags,
                                   mode_t mode = 0);

// Writes everything.
absl::Status WriteAll(int fd, std::string_view bytes, std::string_view what);

// Reads until `buffer` is full or the file ends; the number of bytes read.
absl::StatusOr<std::size_t> ReadFull(int fd, std::span<char> buffer, std::string_view what);

// fsync with an error that names `what`.
absl::Status Sync(int fd, std::string_view what);

// Whether a part of `path` below `directory` is a symbolic link: opening it fails in several ways.
[[nodiscard]] bool LeadsThroughLink(int directory, std::string_view path);

}  // namespace slipway::fs
