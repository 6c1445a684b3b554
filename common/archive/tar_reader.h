#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Single files out of a tar file that a program on this machine wrote.
namespace slipway::archive {

// The content of the plain file `name` in the tar file at `path`. kNotFound: it is not in it;
// kInvalidArgument: it is larger than `max_bytes`, or the file is no tar file. Thread-safe.
[[nodiscard]] absl::StatusOr<std::string> ReadFromTar(const std::string& path,
                                                      const std::string& name,
                                                      std::size_t max_bytes);
// The same into a new file at `target`, whatever its size.
[[nodiscard]] absl::Status ExtractFromTar(const std::string& path, const std::string& name,
                                          const std::string& target);

}  // namespace slipway::archive
