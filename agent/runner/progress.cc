#include "agent/runner/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

constexpr std::size_t kMaxBytes = 4096;

WallTime ParseTime(std::string_view text) {
  std::int64_t micros = 0;
  std::from_chars(text.data(), text.data() + text.size(), micros);
  return FromUnixMicros(micros);
}

std::string ArchivedText(const std::optional<Progress::Archived>& archived) {
  if (!archived) return "";
  return fmt::format("archived={} {} {}\n", archived->manifest.ToString(), archived->bytes,
                     archived->files);
}

std::optional<Progress::Archived> ParseArchived(std::string_view text) {
  const std::size_t first = text.find(' ');
  const std::size_t second = text.find(' ', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return std::nullopt;
  const auto manifest = Sha256Digest::Parse(text.substr(0, first));
  if (!manifest) return std::nullopt;
  Progress::Archived archived{.manifest = *manifest};
  std::from_chars(text.data() + first + 1, text.data() + second, archived.bytes);
  std::from_chars(text.data() + second + 1, text.data() + text.size(), archived.files);
  return archived;
}

}  // namespace

absl::Status SaveProgress(const std::string& attempt_dir, const Progress& progress,
                          Survives survives) {
  const std::string text = fmt::format(
      "started_at={}\ncommit={}\nboot={}\ncontainer={}\nimage={}\nimage_id={}\nbase_image={}\n"
      "base_image_id={}\nnetwork={}\nstep_started_at={}\n{}",
      ToUnixMicros(progress.started_at), progress.commit, progress.boot, progress.container,
      progress.image, progress.image_id, progress.base_image, progress.base_image_id,
      progress.network, ToUnixMicros(progress.step_started_at), ArchivedText(progress.archived));
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd dir, fs::OpenDirectory(attempt_dir));
  const fs::UniqueFd file(openat(dir.get(), "progress.new",
                                 O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, attempt_dir + "/progress.new");
  SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(file.get(), text, attempt_dir + "/progress.new"));
  const bool durable = survives == Survives::kMachine;
  if (durable) SLIPWAY_RETURN_IF_ERROR(fs::Sync(file.get(), attempt_dir + "/progress.new"));
  if (renameat(dir.get(), "progress.new", dir.get(), "progress") != 0) {
    return ErrnoError(errno, attempt_dir + "/progress");
  }
  return durable ? fs::Sync(dir.get(), attempt_dir) : absl::OkStatus();
}

absl::StatusOr<Progress> LoadProgress(const std::string& attempt_dir) {
  const std::string path = attempt_dir + "/progress";
  const fs::UniqueFd file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, path);
  std::string bytes(kMaxBytes, '\0');
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, fs::ReadFull(file.get(), bytes, path));
  std::string_view rest = std::string_view(bytes).substr(0, n);
  Progress progress;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, equals);
    const std::string_view value = line.substr(equals + 1);
    if (key == "started_at") progress.started_at = ParseTime(value);
    if (key == "commit") progress.commit = value;
    if (key == "boot") progress.boot = value;
    if (key == "container") progress.container = value;
    if (key == "image") progress.image = value;
    if (key == "image_id") progress.image_id = value;
    if (key == "base_image") progress.base_image = value;
    if (key == "base_image_id") progress.base_image_id = value;
    if (key == "network") progress.network = value;
    if (key == "archived") progress.archived = ParseArchived(value);
    if (key == "step_started_at") progress.step_started_at = ParseTime(value);
  }
  return progress;
}

}  // namespace slipway::runner
