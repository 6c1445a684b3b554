#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "common/archive/archive_writer.h"
#include "common/fs/files.h"
#include "common/manifest/scan.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/download.h"
#include "controller/cli/format.h"
#include "controller/cli/progress.h"

namespace slipway::cli {
namespace {

namespace stdfs = std::filesystem;

// A directory beside the destination, so that what is whole can be renamed; removed at the end.
class Workshop {
 public:
  static absl::StatusOr<Workshop> Beside(const std::string& destination) {
    const stdfs::path parent = stdfs::absolute(destination).parent_path();
    std::string pattern = (parent / ".slipway-get-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      return ErrnoError(errno, fmt::format("write into {}", parent.string()));
    }
    return Workshop(std::move(pattern));
  }
  ~Workshop() {
    std::error_code ignored;
    if (!path_.empty()) stdfs::remove_all(path_, ignored);
  }
  Workshop(Workshop&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Workshop& operator=(Workshop&&) = delete;

  [[nodiscard]] std::string operator/(const char* name) const { return path_ + "/" + name; }

 private:
  explicit Workshop(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

absl::Status Exists(const std::string& path, bool force_helps, Text t) {
  return MakeError(absl::StatusCode::kAlreadyExists, "FILE_EXISTS",
                   fmt::format(fmt::runtime(t("{} exists already", "{} 已存在")), path),
                   force_helps ? t("--force replaces it.", "用 --force 覆盖。")
                               : t("Name a directory that does not exist or is empty.",
                                   "请指定不存在的或空的目录。"));
}

absl::Status MoveTree(const std::string& from, const std::string& to, Text t) {
  // rename(2) replaces an empty directory and nothing else.
  if (rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) return Exists(to, false, t);
  return ErrnoError(errno, to);
}

absl::Status MoveFile(const std::string& from, const std::string& to, bool force, Text t) {
  const unsigned flags = force ? 0 : RENAME_NOREPLACE;
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags) == 0) {
    return absl::OkStatus();
  }
  if (errno == EEXIST) return Exists(to, true, t);
  return ErrnoError(errno, to);
}

absl::Status Pack(const std::string& tree, const manifest::Manifest& manifest,
                  archive::Format format, WallTime modified, const std::string& path) {
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd root, fs::OpenDirectory(tree));
  const fs::UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file.valid()) return ErrnoError(errno, path);
  SLIPWAY_RETURN_IF_ERROR(archive::WriteArchive(
      manifest, format, modified,
      [&root](const manifest::Entry& entry) {
        return manifest::OpenTreeFile(root.get(), entry.path);
      },
      [&](std::string_view bytes) { return fs::WriteAll(file.get(), bytes, path); }));
  return fs::Sync(file.get(), path);
}

std::string Destination(const ArchiveGetFlags& flags) {
  if (flags.dir.empty()) return flags.tar.empty() ? flags.zip : flags.tar;
  std::string dir = flags.dir;
  while (dir.size() > 1 && dir.back() == '/') dir.pop_back();
  return dir;
}

absl::Status CheckDestination(const ArchiveGetFlags& flags, Text t) {
  std::error_code ignored;
  if (!flags.dir.empty()) {
    if (stdfs::exists(flags.dir, ignored) && !stdfs::is_empty(flags.dir, ignored)) {
      return Exists(flags.dir, false, t);
    }
    return absl::OkStatus();
  }
  const std::string file = Destination(flags);
  if (!flags.force && stdfs::exists(file, ignored)) return Exists(file, true, t);
  return absl::OkStatus();
}

}  // namespace

Outcome ListArchive(Session& session, const ArchiveListFlags& flags) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::ListReleasesRequest request;
  request.set_application(flags.application);
  request.set_platform(flags.platform);
  request.set_page_size(flags.limit);
  v1::ListReleasesResponse response;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->releases(), &v1::ReleaseService::Stub::ListReleases, request, response));
  session.Print(response, RenderReleases);
  return ExitCode::kOk;
}

Outcome ShowArchived(Session& session, const std::string& name) {
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::GetArchivedRequest request;
  request.set_name(name);
  v1::Archived archived;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->releases(), &v1::ReleaseService::Stub::GetArchived, request, archived));
  session.Print(archived, RenderArchived);
  return ExitCode::kOk;
}

Outcome GetArchived(Session& session, const ArchiveGetFlags& flags) {
  const Text t = session.text;
  SLIPWAY_RETURN_IF_ERROR(CheckDestination(flags, t));
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::GetArchivedRequest request;
  request.set_name(flags.name);
  v1::Archived archived;
  SLIPWAY_RETURN_IF_ERROR(
      client->Call(client->releases(), &v1::ReleaseService::Stub::GetArchived, request, archived));
  const auto digest = Sha256Digest::FromBytes(archived.manifest());
  if (!digest) {
    return ControllerError(
        MakeError(absl::StatusCode::kInternal, "BAD_ANSWER",
                  t("the controller's answer names no product", "控制器的应答没有指明产物")));
  }

  const std::string destination = Destination(flags);
  SLIPWAY_ASSIGN_OR_RETURN(const Workshop workshop, Workshop::Beside(destination));
  const std::string tree = workshop / "tree";
  absl::StatusOr<manifest::Manifest> manifest = absl::UnknownError("");
  {
    ProgressBar bar(session.err, session.err_is_terminal, t);
    manifest = Download(*client, flags.name, *digest, tree, kFromTheStart,
                        [&](std::uint64_t done) { bar.Show(done, archived.bytes()); });
  }
  SLIPWAY_RETURN_IF_ERROR(manifest.status());

  if (!flags.dir.empty()) {
    SLIPWAY_RETURN_IF_ERROR(MoveTree(tree, destination, t));
  } else {
    const auto format = flags.tar.empty() ? archive::Format::kZip : archive::Format::kTar;
    const std::string packed = workshop / "packed";
    SLIPWAY_RETURN_IF_ERROR(
        Pack(tree, *manifest, format, rpc::FromProto(archived.built_at()), packed));
    SLIPWAY_RETURN_IF_ERROR(MoveFile(packed, destination, flags.force, t));
  }
  if (session.as_document) {
    session.PrintDocument(archived);
  } else {
    session.out << fmt::format("{}  {}\n", digest->ToString(), destination);
  }
  return ExitCode::kOk;
}

}  // namespace slipway::cli
