#include "common/crypto/key_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/base/ids.h"
#include "common/fs/files.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

constexpr off_t kMaxSecretFile = 64 * 1024;

}  // namespace

absl::Status WriteSecretFile(const std::string& path, std::string_view bytes) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd directory,
                           fs::OpenDirectory(parent.empty() ? "." : parent));
  const std::string name = std::filesystem::path(path).filename().string();
  const std::string temporary = fmt::format(".{}.{}", name, NewId("new-"));
  const fs::UniqueFd file(openat(directory.get(), temporary.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, fmt::format("create {}", path));
  absl::Status status = fs::WriteAll(file.get(), bytes, path);
  if (status.ok()) status = fs::Sync(file.get(), path);
  if (status.ok() &&
      renameat(directory.get(), temporary.c_str(), directory.get(), name.c_str()) != 0) {
    status = ErrnoError(errno, fmt::format("rename to {}", path));
  }
  if (!status.ok()) {
    unlinkat(directory.get(), temporary.c_str(), 0);
    return status;
  }
  return fs::Sync(directory.get(), fmt::format("the directory of {}", path));
}

absl::StatusOr<SecretBytes> ReadSecretFile(const std::string& path) {
  // O_NONBLOCK: a FIFO put in the place of the file must not hang the program.
  const fs::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return ErrnoError(errno, fmt::format("open {}", path));
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
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t filled,
                           fs::ReadFull(file.get(), {secret.data(), secret.size()}, path));
  secret.Truncate(filled);
  return secret;
}

}  // namespace slipway::crypto
