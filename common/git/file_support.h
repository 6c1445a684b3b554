#pragma once

#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

// Small pieces over POSIX files, for this library and for work trees.
namespace slipway::git {

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

[[nodiscard]] absl::Status MakeDirs(const std::string& path);

// All of `bytes`, whatever the kernel takes at once.
[[nodiscard]] absl::Status WriteAll(int fd, std::string_view bytes, std::string_view what);

// Old or new content, never a part, for every process that reads. Not synced.
[[nodiscard]] absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes);

// kNotFound; kInvalidArgument above max_bytes.
[[nodiscard]] absl::StatusOr<std::string> ReadWholeFile(const std::string& path,
                                                        std::size_t max_bytes);

}  // namespace slipway::git
