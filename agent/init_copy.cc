#include "agent/init_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>

#include "common/crypto/hash.h"
#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/status/status.h"

namespace slipway::agent {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{64} << 20;

absl::StatusOr<std::string> ReadProgram(const std::string& path) {
  const fs::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st {};
  if (!file.valid() || fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode) ||
      static_cast<std::size_t>(st.st_size) > kMaxBytes) {
    return MakeError(absl::StatusCode::kNotFound, "NO_INIT",
                     fmt::format("{} is not the slipway-init program", path),
                     "Install slipway-init beside slipway-agent, or set init_binary.");
  }
  std::string bytes(static_cast<std::size_t>(st.st_size), '\0');
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, fs::ReadFull(file.get(), bytes, path));
  bytes.resize(n);
  return bytes;
}

}  // namespace

absl::StatusOr<std::string> CopyInit(const std::string& source, const std::string& data_dir) {
  SLIPWAY_ASSIGN_OR_RETURN(const std::string program, ReadProgram(source));
  const std::string dir = data_dir + "/bin";
  std::error_code made;
  std::filesystem::create_directories(dir, made);
  if (made) return ErrnoError(made.value(), dir);
  const std::string hash = crypto::Sha256Of(program).Hex();
  const std::string target = fmt::format("{}/slipway-init-{}", dir, hash.substr(0, 16));
  if (const auto there = ReadProgram(target); there.ok() && *there == program) return target;
  const std::string temporary = target + ".new";
  {
    const fs::UniqueFd file(
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0755));
    if (!file.valid()) return ErrnoError(errno, temporary);
    SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(file.get(), program, temporary));
    if (fchmod(file.get(), 0755) != 0) return ErrnoError(errno, temporary);
    SLIPWAY_RETURN_IF_ERROR(fs::Sync(file.get(), temporary));
  }
  if (rename(temporary.c_str(), target.c_str()) != 0) return ErrnoError(errno, target);
  SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd parent, fs::OpenDirectory(dir));
  SLIPWAY_RETURN_IF_ERROR(fs::Sync(parent.get(), dir));
  return target;
}

}  // namespace slipway::agent
