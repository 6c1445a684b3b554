#include "controller/channels/package_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "common/fs/files.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::channels {
namespace {

constexpr auto kYoung = std::chrono::hours(1);

}  // namespace

absl::StatusOr<PackageFolder> PackageFolder::Open(std::string path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoError(errno, path);
  return PackageFolder(std::move(path));
}

absl::StatusOr<ReadyPackage> PackageFolder::Make(artifacts::ArtifactArchive& archive,
                                                 const TaskId& task,
                                                 const ApplicationId& application,
                                                 const Sha256Digest& manifest,
                                                 const std::function<absl::Status()>& go_on) const {
  ReadyPackage package;
  package.file = task.value() + ".zip";
  const std::string path = PathOf(package.file);
  const std::string unfinished = path + ".new";
  fs::UniqueFd file(open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, unfinished);
  const auto end = packaging::WritePackage(
      archive, application, manifest, {}, go_on,
      [&](std::string_view bytes) { return fs::WriteAll(file.get(), bytes, unfinished); });
  absl::Status status = end.status();
  if (status.ok()) status = fs::Sync(file.get(), unfinished);
  if (status.ok() && rename(unfinished.c_str(), path.c_str()) != 0) {
    status = ErrnoError(errno, path);
  }
  if (!status.ok()) {
    unlink(unfinished.c_str());
    return status;
  }
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd folder, fs::OpenDirectory(path_));
  SLIPWAY_RETURN_IF_ERROR(fs::Sync(folder.get(), path_));
  package.sha256 = end->sha256;
  package.bytes = end->size;
  return package;
}

absl::StatusOr<fs::UniqueFd> PackageFolder::OpenFile(const std::string& file) const {
  fs::UniqueFd opened(open(PathOf(file).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (opened.valid()) return opened;
  if (errno == ENOENT) return absl::NotFoundError(fmt::format("{} is gone", file));
  return ErrnoError(errno, PathOf(file));
}

void PackageFolder::KeepOnly(const std::set<std::string>& files, WallTime now) const {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename().string();
    struct stat about {};
    if (files.contains(name) || stat(entry.path().c_str(), &about) != 0) continue;
    const WallTime written = FromUnixMicros(static_cast<std::int64_t>(about.st_mtime) * 1'000'000);
    // The page of a package is stored after it.
    if (now - written < kYoung) continue;
    if (unlink(entry.path().c_str()) != 0) {
      log::Warn("package_not_deleted", {{"file", name}});
    }
  }
}

}  // namespace slipway::channels
