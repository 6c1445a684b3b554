#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace slipway::init {

// Owns a file descriptor. Thread-compatible.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { Reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  void Reset();

 private:
  int fd_ = -1;
};

// What went wrong, for a person; empty: nothing did. Process 1 has no status library.
using Problem = std::string;

// "`what`: strerror".
Problem ErrnoProblem(std::string_view what, int error_number);

// Makes the calling thread's file accesses those of `uid` (and `gid`), and what was there before
// again when destroyed. Thread-compatible; affects the calling thread only.
class ScopedFsIds {
 public:
  ScopedFsIds(unsigned uid, unsigned gid);
  ~ScopedFsIds();
  ScopedFsIds(const ScopedFsIds&) = delete;
  ScopedFsIds& operator=(const ScopedFsIds&) = delete;

 private:
  unsigned old_uid_;
  unsigned old_gid_;
};

}  // namespace slipway::init
