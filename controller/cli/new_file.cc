#include "controller/cli/new_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "common/base/ids.h"
#include "common/fs/files.h"
#include "common/status/status.h"

namespace slipway::cli {

absl::StatusOr<NewFile> NewFile::Create(const std::string& path, Readers readers) {
  std::string temporary = path + "." + NewId("new-");
  fs::UniqueFd file(open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                         readers == Readers::kOwner ? 0600 : 0644));
  if (!file.valid()) return ErrnoError(errno, path);
  return NewFile(path, std::move(temporary), std::move(file));
}

NewFile::NewFile(std::string path, std::string temporary, fs::UniqueFd file)
    : path_(std::move(path)), temporary_(std::move(temporary)), file_(std::move(file)) {}

NewFile::NewFile(NewFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      file_(std::move(other.file_)) {}

NewFile::~NewFile() {
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status NewFile::Write(std::string_view bytes) {
  return fs::WriteAll(file_.get(), bytes, path_);
}

absl::Status NewFile::Finish(bool force, Text text) {
  SLIPWAY_RETURN_IF_ERROR(fs::Sync(file_.get(), path_));
  if (renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(),
                force ? 0 : RENAME_NOREPLACE) == 0) {
    temporary_.clear();
    return absl::OkStatus();
  }
  return errno == EEXIST
             ? MakeError(absl::StatusCode::kAlreadyExists, "FILE_EXISTS",
                         fmt::format(fmt::runtime(text("{} exists already", "{} 已存在")), path_),
                         text("--force replaces it.", "用 --force 覆盖。"))
             : ErrnoError(errno, path_);
}

}  // namespace slipway::cli
