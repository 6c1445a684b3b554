#include "common/crypto/key_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/base/ids.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

constexpr off_t kMaxSecretFile = 64 * 1024;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  const int fd_;
};

absl::Status WriteDurably(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, fmt::format("write {}", path));
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  if (fsync(fd) != 0) return ErrnoError(errno, fmt::format("fsync {}", path));
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteSecretFile(const std::string& path, std::string_view bytes) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const Fd directory(
      open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0) return ErrnoError(errno, fmt::format("open the directory of {}", path));
  const std::string name = std::filesystem::path(path).filename().string();
  const std::string temporary = fmt::format(".{}.{}", name, NewId("new-"));
  const Fd file(openat(directory.get(), temporary.c_str(),
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.get() < 0) return ErrnoError(errno, fmt::format("create {}", path));
  absl::Status status = WriteDurably(file.get(), bytes, path);
  if (status.ok() &&
      renameat(directory.get(), temporary.c_str(), directory.get(), name.c_str()) != 0) {
    status = ErrnoError(errno, fmt::format("rename to {}", path));
  }
  if (!status.ok()) {
    unlinkat(directory.get(), temporary.c_str(), 0);
    return status;
  }
  if (fsync(directory.get()) != 0) {
    return ErrnoError(errno, fmt::format("fsync the directory of {}", path));
  }
  return absl::OkStatus();
}

absl::StatusOr<SecretBytes> ReadSecretFile(const std::string& path) {
  // O_NONBLOCK: a FIFO put in the place of the file must not hang the program.
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return ErrnoError(errno, fmt::format("open {}", path));
  struct stat facts {};
  if (fstat(file.get(), &facts) != 0) return ErrnoError(errno, fmt::format("stat {}", path));
  if (!S_ISREG(facts.st_mode)) {
    return MakeError(absl::StatusCode::kInvalidArgument, "",
                     fmt::format("{} is not a regular file", path));
  }
  if ((facts.st_mode & 077) != 0) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "SECRET_FILE_OPEN_TO_OTHERS",
                     fmt::format("{} holds a secret but others may use it (mode {:04o})", path,
                                 facts.st_mode & 07777),
                     fmt::format("chmod 600 {}", path));
  }
  if (facts.st_size > kMaxSecretFile) {
    return MakeError(absl::StatusCode::kInvalidArgument, "",
                     fmt::format("{} is larger than {} bytes", path, kMaxSecretFile));
  }
  SecretBytes secret(static_cast<std::size_t>(facts.st_size));
  std::size_t filled = 0;
  while (filled < secret.size()) {
    const ssize_t n = read(file.get(), secret.data() + filled, secret.size() - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, fmt::format("read {}", path));
    if (n == 0) break;
    filled += static_cast<std::size_t>(n);
  }
  secret.Truncate(filled);
  return secret;
}

}  // namespace slipway::crypto
