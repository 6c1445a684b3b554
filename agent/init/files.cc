#include "agent/init/files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string_view>

namespace slipway::init {
namespace {

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

int OpenWithoutLinks(const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof(how)));
}

// The number after `key` at the beginning of a line of a small kernel file.
std::optional<std::uint64_t> ReadCounter(const char* path, std::string_view key) {
  Fd fd(open(path, O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return std::nullopt;
  char buffer[4096];
  const ssize_t n = read(fd.get(), buffer, sizeof(buffer) - 1);
  if (n <= 0) return std::nullopt;
  buffer[n] = '\0';
  const std::string_view text(buffer, static_cast<std::size_t>(n));
  for (std::size_t at = 0; at < text.size();) {
    if (text.compare(at, key.size(), key) == 0) {
      return strtoull(text.data() + at + key.size(), nullptr, 10);
    }
    at = text.find('\n', at);
    if (at == std::string_view::npos) break;
    ++at;
  }
  return std::nullopt;
}

}  // namespace

Problem ResultFile::Prepare(int dir_fd, std::uint32_t step) {
  dir_fd_ = dir_fd;
  stem_ = "step-" + std::to_string(step);
  const std::string name = stem_ + ".tmp";
  unlinkat(dir_fd, name.c_str(), 0);
  file_ =
      Fd(openat(dir_fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file_.valid()) return ErrnoProblem(name, errno);
  if (fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(kMaxResultFile)) != 0 &&
      errno != EOPNOTSUPP) {
    return ErrnoProblem(name, errno);
  }
  return {};
}

Problem ResultFile::Commit(const StepResult& result) {
  const std::string temporary = stem_ + ".tmp";
  const std::string final_name = stem_ + ".result";
  if (!WriteAll(file_.get(), EncodeResultFile(result)) || fsync(file_.get()) != 0) {
    return ErrnoProblem(temporary, errno);
  }
  file_.Reset();
  if (renameat(dir_fd_, temporary.c_str(), dir_fd_, final_name.c_str()) != 0) {
    return ErrnoProblem(final_name, errno);
  }
  if (fsync(dir_fd_) != 0) return ErrnoProblem("sync directory", errno);
  return {};
}

WriteSecretOutcome WriteSecretFile(const WriteSecret& secret) {
  const std::size_t slash = secret.path.rfind('/');
  const std::string name = slash == std::string::npos ? "" : secret.path.substr(slash + 1);
  if (secret.path.empty() || secret.path.front() != '/' || name.empty() || name == "." ||
      name == ".." || secret.path.find('\0') != std::string::npos || (secret.mode & ~0777U) != 0) {
    return {AckCode::kInvalid, "a secret needs an absolute path and a mode up to 0777"};
  }
  const std::string directory = slash == 0 ? "/" : secret.path.substr(0, slash);
  const ScopedFsIds as_owner(secret.uid, secret.gid);
  Fd dir(OpenWithoutLinks(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid()) return {AckCode::kInvalid, ErrnoProblem(directory, errno)};
  struct statfs fs {};
  if (fstatfs(dir.get(), &fs) != 0) return {AckCode::kIoError, ErrnoProblem(directory, errno)};
  if (fs.f_type != TMPFS_MAGIC) return {AckCode::kInvalid, directory + ": not on tmpfs"};
  unlinkat(dir.get(), name.c_str(), 0);
  Fd file(openat(dir.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                 secret.mode));
  if (!file.valid()) return {AckCode::kIoError, ErrnoProblem(secret.path, errno)};
  if (!WriteAll(file.get(), secret.bytes) || fchmod(file.get(), secret.mode) != 0) {
    const int error = errno;
    unlinkat(dir.get(), name.c_str(), 0);
    return {AckCode::kIoError, ErrnoProblem(secret.path, error)};
  }
  return {};
}

std::optional<std::uint64_t> ReadOomKills() {
  if (auto v2 = ReadCounter("/sys/fs/cgroup/memory.events", "oom_kill ")) return v2;
  return ReadCounter("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill ");
}

}  // namespace slipway::init
