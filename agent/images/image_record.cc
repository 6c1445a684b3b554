#include "agent/images/image_record.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <string_view>
#include <utility>

#include "agent/executor/container_spec.h"
#include "common/fs/files.h"
#include "common/status/status.h"

namespace slipway::images {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

}  // namespace

absl::StatusOr<ImageRecord> ImageRecord::Load(std::string path) {
  ImageRecord record(std::move(path));
  const fs::UniqueFd file(open(record.path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) {
    if (errno == ENOENT) return record;
    return ErrnoError(errno, record.path_);
  }
  std::string text(kMaxBytes, '\0');
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t size, fs::ReadFull(file.get(), text, record.path_));
  std::string_view rest = std::string_view(text).substr(0, size);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    std::int64_t micros = 0;
    const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), micros);
    const auto read = static_cast<std::size_t>(stop - line.data());
    if (error != std::errc() || read >= line.size() || line[read] != ' ') continue;
    const std::string image(line.substr(read + 1));
    if (executor::ValidateImageName(image).ok()) record.images_[image] = FromUnixMicros(micros);
  }
  return record;
}

absl::Status ImageRecord::Put(const std::string& image, WallTime used) {
  images_[image] = used;
  return Save();
}

absl::Status ImageRecord::Remove(const std::string& image) {
  return images_.erase(image) == 0 ? absl::OkStatus() : Save();
}

absl::Status ImageRecord::Save() const {
  std::string text;
  for (const auto& [image, used] : images_) {
    text += fmt::format("{} {}\n", ToUnixMicros(used), image);
  }
  const std::string fresh = path_ + ".new";
  {
    const fs::UniqueFd file(
        open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.valid()) return ErrnoError(errno, fresh);
    SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(file.get(), text, fresh));
    SLIPWAY_RETURN_IF_ERROR(fs::Sync(file.get(), fresh));
  }
  return rename(fresh.c_str(), path_.c_str()) == 0 ? absl::OkStatus() : ErrnoError(errno, path_);
}

}  // namespace slipway::images
