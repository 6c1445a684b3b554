#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"

namespace slipway::images {

// The images that this agent pulled itself, with the time of their last use: what it may delete
// again. A file of lines "<unix microseconds> <reference>". Thread-compatible.
class ImageRecord {
 public:
  // A missing file is an empty record; lines that make no sense are left out.
  [[nodiscard]] static absl::StatusOr<ImageRecord> Load(std::string path);

  [[nodiscard]] const std::map<std::string, WallTime>& images() const { return images_; }
  // Old or new content on the disk, never a part. An error leaves the old one.
  [[nodiscard]] absl::Status Put(const std::string& image, WallTime used);
  [[nodiscard]] absl::Status Remove(const std::string& image);

 private:
  explicit ImageRecord(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] absl::Status Save() const;

  std::string path_;
  std::map<std::string, WallTime> images_;
};

}  // namespace slipway::images
