#include "agent/runner/brought_script.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "agent/runner/container_plan.h"
#include "common/fs/files.h"
#include "common/fs/unique_fd.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

constexpr char kDirectory[] = ".slipway-script";

absl::Status Write(const BroughtScript& script, const std::string& dir) {
  if (mkdir(dir.c_str(), 0755) != 0) return ErrnoError(errno, dir);
  const std::string path = dir + "/" + script.name;
  const fs::UniqueFd file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0755));
  if (!file.valid()) return ErrnoError(errno, path);
  SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(file.get(), script.bytes, path));
  // Whatever the agent's umask is.
  if (fchmod(file.get(), 0755) != 0 || chmod(dir.c_str(), 0755) != 0) return ErrnoError(errno, dir);
  return absl::OkStatus();
}

}  // namespace

absl::Status PlaceScript(const BroughtScript& script, const std::string& private_dir,
                         const std::string& home) {
  const std::string place = home + "/" + kDirectory;
  // A disk may be full by now, while the script runs.
  struct stat about {};
  if (lstat(place.c_str(), &about) == 0) return absl::OkStatus();
  const std::string unfinished = private_dir + "/script.new";
  std::error_code ignored;
  std::filesystem::remove_all(unfinished, ignored);
  SLIPWAY_RETURN_IF_ERROR(Write(script, unfinished));
  // The last part of neither path is the container's, so none of them leads elsewhere.
  const bool placed =
      renameat2(AT_FDCWD, unfinished.c_str(), AT_FDCWD, place.c_str(), RENAME_NOREPLACE) == 0;
  const int error = errno;
  if (!placed) std::filesystem::remove_all(unfinished, ignored);
  return placed || error == EEXIST ? absl::OkStatus() : ErrnoError(error, place);
}

std::vector<std::string> ArgvOf(const BroughtScript& script) {
  const std::string path = std::string(inside::kHome) + "/" + kDirectory + "/" + script.name;
  if (script.bytes.rfind("#!", 0) == 0) return {path};
  return {"/bin/sh", path};
}

}  // namespace slipway::runner
