#include "controller/cli/secret_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "common/fs/files.h"
#include "common/status/status.h"

namespace slipway::cli {
namespace {

using crypto::SecretBytes;

// More than any of the files may have; what is too much is said when it is checked.
constexpr std::size_t kMaxFile = 64 * 1024;

}  // namespace

absl::StatusOr<SecretBytes> ReadSecretFile(Session& session, const std::string& path) {
  const fs::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, path);
  SecretBytes bytes(kMaxFile);
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t size,
                           fs::ReadFull(file.get(), {bytes.data(), bytes.size()}, path));
  bytes.Truncate(size);
  struct stat facts {};
  if (fstat(file.get(), &facts) == 0 && S_ISREG(facts.st_mode) && (facts.st_mode & 077) != 0) {
    session.err << fmt::format(
        fmt::runtime(session.text("warning: others on this machine may use {}; chmod 600 {}\n",
                                  "警告：本机其他用户可以访问 {}；请执行 chmod 600 {}\n")),
        path, path);
  }
  return bytes;
}

absl::StatusOr<SecretBytes> ReadPassword(Session& session, const std::string& path) {
  if (path == "-") {
    SLIPWAY_ASSIGN_OR_RETURN(std::string line,
                             session.ReadSecretLine(session.text("the password", "密码")));
    SecretBytes password = SecretBytes::CopyOf(line);
    crypto::Wipe(line.data(), line.size());
    return password;
  }
  SLIPWAY_ASSIGN_OR_RETURN(SecretBytes password, ReadSecretFile(session, path));
  // As editors leave it.
  std::string_view text = password.view();
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  password.Truncate(text.size());
  return password;
}

absl::StatusOr<std::string> ReadSmallText(const std::string& path) {
  if (path.empty()) return "";
  const fs::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, path);
  std::string text(kMaxFile, '\0');
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t size, fs::ReadFull(file.get(), text, path));
  text.resize(size);
  return text;
}

}  // namespace slipway::cli
