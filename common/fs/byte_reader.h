#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "common/fs/files.h"
#include "common/fs/unique_fd.h"

namespace slipway::fs {

// Bytes that come one buffer at a time. Thread-compatible.
class ByteReader {
 public:
  virtual ~ByteReader() = default;
  // Fills at most `buffer`; 0 means the end. After an error nothing more can be read.
  virtual absl::StatusOr<std::size_t> Read(std::span<char> buffer) = 0;
};

// The rest of an open file.
class FileReader final : public ByteReader {
 public:
  // `what` names the file in errors.
  FileReader(UniqueFd fd, std::string what) : fd_(std::move(fd)), what_(std::move(what)) {}
  absl::StatusOr<std::size_t> Read(std::span<char> buffer) override {
    return ReadFull(fd_.get(), buffer, what_);
  }

 private:
  const UniqueFd fd_;
  const std::string what_;
};

}  // namespace slipway::fs
