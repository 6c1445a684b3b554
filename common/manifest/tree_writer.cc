#include "common/manifest/tree_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include "common/fs/directory_stream.h"
#include "common/fs/files.h"
#include "common/status/status.h"

namespace slipway::manifest {
namespace {

using absl::StatusCode;

absl::StatusOr<bool> IsEmpty(int directory) {
  fs::UniqueFd copy(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const fs::DirectoryStream stream(copy.valid() ? fdopendir(copy.get()) : nullptr);
  if (stream == nullptr) return ErrnoError(errno, "list the directory to write");
  static_cast<void>(copy.Release());
  while (const dirent* entry = readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") return false;
  }
  return true;
}

absl::Status CopyContent(int from, int to, std::string_view path) {
  std::array<char, 64 * 1024> buffer;
  if (lseek(from, 0, SEEK_SET) != 0) return ErrnoError(errno, fmt::format("rewind {}", path));
  while (true) {
    SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, fs::ReadFull(from, buffer, path));
    SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(to, {buffer.data(), n}, path));
    if (n < buffer.size()) return absl::OkStatus();
  }
}

absl::Status MakeReadOnly(int fd, const Entry& entry) {
  if (fchmod(fd, entry.executable ? 0555 : 0444) == 0) return absl::OkStatus();
  return ErrnoError(errno, fmt::format("chmod {}", entry.path));
}

}  // namespace

TreeWriter::TreeWriter(fs::UniqueFd root, const Manifest& manifest)
    : root_(std::move(root)), manifest_(&manifest) {
  for (const Entry& entry : manifest.entries()) {
    if (entry.kind == EntryKind::kFile) wanted_[entry.digest].push_back(&entry);
  }
}

absl::StatusOr<TreeWriter> TreeWriter::Create(const std::string& path, const Manifest& manifest) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return ErrnoError(errno, fmt::format("create directory {}", path));
  }
  fs::UniqueFd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root.valid()) return ErrnoError(errno, fmt::format("open directory {}", path));
  SLIPWAY_ASSIGN_OR_RETURN(const bool empty, IsEmpty(root.get()));
  if (!empty) {
    return MakeError(StatusCode::kFailedPrecondition, "DIRECTORY_NOT_EMPTY",
                     fmt::format("{} is not empty", path), "Name a directory that does not exist.");
  }
  return TreeWriter(std::move(root), manifest);
}

absl::StatusOr<fs::UniqueFd> TreeWriter::OpenParent(std::string_view path, std::string& name) {
  fs::UniqueFd parent(openat(root_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (std::size_t slash = path.find('/'); parent.valid() && slash != std::string_view::npos;
       slash = path.find('/')) {
    const std::string component(path.substr(0, slash));
    if (mkdirat(parent.get(), component.c_str(), 0755) != 0 && errno != EEXIST) break;
    parent = fs::UniqueFd(
        openat(parent.get(), component.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    path.remove_prefix(slash + 1);
  }
  if (!parent.valid() || path.find('/') != std::string_view::npos) {
    return ErrnoError(errno, fmt::format("create the directory of {}", path));
  }
  name = path;
  return parent;
}

absl::StatusOr<fs::UniqueFd> TreeWriter::CreateFile(const Entry& entry) {
  std::string name;
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd parent, OpenParent(entry.path, name));
  fs::UniqueFd file(
      openat(parent.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, fmt::format("create {}", entry.path));
  return file;
}

absl::Status TreeWriter::BeginBlob(const BlobRef& blob) {
  const auto found = wanted_.find(blob.digest);
  if (found == wanted_.end()) {
    return MakeError(StatusCode::kInvalidArgument, "BLOB_UNEXPECTED",
                     fmt::format("blob {} is not wanted (any more)", blob.digest.ToString()));
  }
  receiving_ = std::move(found->second);
  wanted_.erase(found);
  for (const Entry* entry : receiving_) {
    if (entry->size != blob.size) {
      return MakeError(StatusCode::kDataLoss, "BLOB_CORRUPT",
                       fmt::format("{} should have {} bytes but its blob has {}", entry->path,
                                   entry->size, blob.size));
    }
  }
  SLIPWAY_ASSIGN_OR_RETURN(file_, CreateFile(*receiving_.front()));
  return absl::OkStatus();
}

absl::Status TreeWriter::EndBlob() {
  for (const Entry* entry : receiving_) {
    if (entry == receiving_.front()) continue;
    SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd copy, CreateFile(*entry));
    SLIPWAY_RETURN_IF_ERROR(CopyContent(file_.get(), copy.get(), entry->path));
    SLIPWAY_RETURN_IF_ERROR(MakeReadOnly(copy.get(), *entry));
  }
  SLIPWAY_RETURN_IF_ERROR(MakeReadOnly(file_.get(), *receiving_.front()));
  file_.Reset();
  receiving_.clear();
  return absl::OkStatus();
}

absl::Status TreeWriter::Accept(const BlobPiece& piece) {
  if (!verifier_.inside()) SLIPWAY_RETURN_IF_ERROR(BeginBlob(piece.blob));
  SLIPWAY_RETURN_IF_ERROR(verifier_.Accept(piece, [&](std::string_view bytes) {
    return fs::WriteAll(file_.get(), bytes, receiving_.front()->path);
  }));
  return piece.last ? EndBlob() : absl::OkStatus();
}

absl::Status TreeWriter::Finish() {
  if (verifier_.inside() || !wanted_.empty()) {
    return MakeError(StatusCode::kDataLoss, "BLOBS_MISSING",
                     fmt::format("{} blobs of the product did not arrive",
                                 wanted_.size() + (verifier_.inside() ? 1 : 0)));
  }
  for (const Entry& entry : manifest_->entries()) {
    if (entry.kind == EntryKind::kFile) continue;
    std::string name;
    SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd parent, OpenParent(entry.path, name));
    const int result = entry.kind == EntryKind::kDirectory
                           ? mkdirat(parent.get(), name.c_str(), 0755)
                           : symlinkat(entry.target.c_str(), parent.get(), name.c_str());
    if (result != 0) return ErrnoError(errno, fmt::format("create {}", entry.path));
  }
  return absl::OkStatus();
}

}  // namespace slipway::manifest
