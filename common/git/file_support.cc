#include "common/git/file_support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "common/base/ids.h"
#include "common/fs/unique_fd.h"
#include "common/status/status.h"

namespace slipway::git {

absl::Status MakeDirs(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  return error ? ErrnoError(error.value(), "cannot make " + path) : absl::OkStatus();
}

absl::Status WriteAll(int fd, std::string_view bytes, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t put = write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoError(errno, "cannot write " + std::string(what));
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path, std::string_view bytes) {
  const std::string fresh = path + "." + NewId("");
  const fs::UniqueFd fd(
      open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoError(errno, "cannot make " + fresh);
  absl::Status status = WriteAll(fd.get(), bytes, path);
  if (status.ok() && rename(fresh.c_str(), path.c_str()) != 0) {
    status = ErrnoError(errno, "cannot replace " + path);
  }
  if (!status.ok()) unlink(fresh.c_str());
  return status;
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, std::size_t max_bytes) {
  const fs::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return ErrnoError(errno, "cannot open " + path);
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return ErrnoError(errno, "cannot read " + path);
  if (!S_ISREG(info.st_mode) || static_cast<std::size_t>(info.st_size) > max_bytes) {
    return MakeError(absl::StatusCode::kInvalidArgument, "", path + " is too large or not a file");
  }
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, "cannot read " + path);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

}  // namespace slipway::git
