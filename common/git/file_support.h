#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

// Small pieces over POSIX files, for this library and for work trees.
namespace slipway::git {

[[nodiscard]] absl::Status MakeDirs(const std::string& path);

// All of `bytes`, whatever the kernel takes at once.
[[nodiscard]] absl::Status WriteAll(int fd, std::string_view bytes, std::string_view what);

// Old or new content, never a part, for every process that reads. Not synced.
[[nodiscard]] absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes);

// kNotFound; kInvalidArgument above max_bytes.
[[nodiscard]] absl::StatusOr<std::string> ReadWholeFile(const std::string& path,
                                                        std::size_t max_bytes);

}  // namespace slipway::git
