#include "controller/channels/package_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "common/crypto/hash.h"
#include "common/fs/files.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::channels {
namespace {

constexpr auto kYoung = std::chrono::hours(1);
constexpr std::size_t kPiece = std::size_t{256} << 10;

// Compressed, a package is rarely larger than its product.
absl::Status CheckRoom(const std::string& path, std::uint64_t bytes) {
  struct statvfs disk {};
  if (statvfs(path.c_str(), &disk) != 0) return ErrnoError(errno, path);
  const std::uint64_t free = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  if (free >= bytes + kDiskReserve) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kResourceExhausted, "PACKAGES_FULL",
      fmt::format("the controller's disk has {} MiB left, too little for a package of {} MiB",
                  free >> 20, bytes >> 20),
      "Free space in the controller's data directory.");
}

}  // namespace

absl::StatusOr<PackageFolder> PackageFolder::Open(std::string path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return ErrnoError(errno, path);
  return PackageFolder(std::move(path));
}

absl::StatusOr<ReadyPackage> PackageFolder::Found(const std::string& name) const {
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd file, OpenFile(name));
  {
    const std::lock_guard lock(*ages_);
    // It is as young as a new one, unless it was deleted just now.
    struct stat about {};
    if (futimens(file.get(), nullptr) != 0 || fstat(file.get(), &about) != 0) {
      return ErrnoError(errno, PathOf(name));
    }
    if (about.st_nlink == 0) return absl::NotFoundError(fmt::format("{} is gone", name));
  }
  ReadyPackage package{.file = name, .sha256 = {}, .bytes = 0};
  crypto::Sha256Hasher hasher;
  std::string piece(kPiece, '\0');
  while (true) {
    const ssize_t got = read(file.get(), piece.data(), piece.size());
    if (got < 0) return ErrnoError(errno, PathOf(name));
    if (got == 0) break;
    hasher.Update(std::string_view(piece).substr(0, static_cast<std::size_t>(got)));
    package.bytes += static_cast<std::uint64_t>(got);
  }
  package.sha256 = hasher.Finish();
  return package;
}

absl::StatusOr<ReadyPackage> PackageFolder::Make(artifacts::ArtifactArchive& archive,
                                                 const Wanted& wanted,
                                                 const std::function<absl::Status()>& go_on) const {
  auto found = Found(wanted.name);
  if (!absl::IsNotFound(found.status())) return found;
  SLIPWAY_ASSIGN_OR_RETURN(const artifacts::Artifact artifact,
                           archive.Find(wanted.application, wanted.manifest));
  SLIPWAY_RETURN_IF_ERROR(CheckRoom(path_, artifact.total_bytes));
  const std::string path = PathOf(wanted.name);
  const std::string unfinished = PathOf(NewId("") + ".new");
  fs::UniqueFd file(open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, unfinished);
  const auto end = packaging::WritePackage(
      archive, wanted.application, wanted.manifest, wanted.order, go_on,
      [&](std::string_view bytes) { return fs::WriteAll(file.get(), bytes, unfinished); });
  absl::Status status = end.status();
  if (status.ok()) status = fs::Sync(file.get(), unfinished);
  // Not over one that somebody else has made meanwhile and may have told the digest of.
  bool second = false;
  if (status.ok() && link(unfinished.c_str(), path.c_str()) != 0) {
    second = errno == EEXIST;
    if (!second) status = ErrnoError(errno, path);
  }
  unlink(unfinished.c_str());
  SLIPWAY_RETURN_IF_ERROR(status);
  if (second) return Found(wanted.name);
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd folder, fs::OpenDirectory(path_));
  SLIPWAY_RETURN_IF_ERROR(fs::Sync(folder.get(), path_));
  return ReadyPackage{.file = wanted.name, .sha256 = end->sha256, .bytes = end->size};
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
    const std::lock_guard lock(*ages_);
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
