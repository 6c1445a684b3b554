#include "common/fs/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "common/status/status.h"

namespace slipway::fs {

absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, fmt::format("open directory {}", path));
  return fd;
}

absl::StatusOr<UniqueFd> OpenBelow(int directory, std::string_view relative, int flags,
                                   mode_t mode) {
  UniqueFd parent;
  int at = directory;
  std::string_view rest = relative.empty() ? "." : relative;
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string component(rest.substr(0, slash));
    const bool last = slash == std::string_view::npos;
    if (component.empty() || component == ".." || component.find('\0') != std::string::npos) {
      return MakeError(absl::StatusCode::kInvalidArgument, "",
                       fmt::format("\"{}\" is not a path below its directory", relative));
    }
    const int open_flags =
        O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (last ? flags : O_PATH | O_DIRECTORY);
    UniqueFd next(openat(at, component.c_str(), open_flags, mode));
    if (!next.valid()) {
      const int error = errno;
      // O_NOFOLLOW with O_DIRECTORY says ENOTDIR for a symlink.
      struct stat facts {};
      if (error == ENOTDIR && fstatat(at, component.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
          S_ISLNK(facts.st_mode)) {
        return MakeError(absl::StatusCode::kInvalidArgument, "",
                         fmt::format("\"{}\": {} is a symbolic link", relative, component));
      }
      return ErrnoError(error, fmt::format("open {}", relative));
    }
    if (last) return next;
    parent = std::move(next);
    at = parent.get();
    rest.remove_prefix(slash + 1);
  }
}

absl::Status WriteAll(int fd, std::string_view bytes, std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, fmt::format("write {}", what));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> ReadFull(int fd, std::span<char> buffer, std::string_view what) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const ssize_t n = read(fd, buffer.data() + filled, buffer.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, fmt::format("read {}", what));
    if (n == 0) break;
    filled += static_cast<std::size_t>(n);
  }
  return filled;
}

absl::Status Sync(int fd, std::string_view what) {
  return fsync(fd) == 0 ? absl::OkStatus() : ErrnoError(errno, fmt::format("fsync {}", what));
}

bool LeadsThroughLink(int directory, std::string_view path) {
  UniqueFd at;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string part(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
    UniqueFd next(
        openat(at.valid() ? at.get() : directory, part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat st {};
    if (!next.valid() || fstat(next.get(), &st) != 0) return false;
    if (S_ISLNK(st.st_mode)) return true;
    at = std::move(next);
  }
  return false;
}

}  // namespace slipway::fs
