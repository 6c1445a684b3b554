#include "agent/initlink/control_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "common/status/status.h"

namespace slipway::initlink {
namespace {

constexpr std::string_view kIdHeader = "slipway-control 1";
constexpr std::size_t kMaxIdFile = 512;

absl::Status Tampered(std::string_view path, std::string_view why) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "CONTROL_DIR_TAMPERED",
                   fmt::format("{}: {}", path, why),
                   "something in the container changed slipway-init's files; the attempt cannot be "
                   "trusted any more");
}

absl::Status WriteAll(int fd, std::string_view bytes, const std::string& what) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return ErrnoError(errno, what);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return absl::OkStatus();
}

absl::StatusOr<Fd> CreateFile(int dir_fd, const char* name, std::uint32_t uid, std::uint32_t gid) {
  Fd fd(openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid() || fchown(fd.get(), uid, gid) != 0 || fsync(fd.get()) != 0) {
    return ErrnoError(errno, fmt::format("create {}", name));
  }
  return fd;
}

// Reads at most `limit` bytes; more is an error of the caller's kind.
absl::StatusOr<std::string> ReadSmall(int fd, std::size_t limit, const std::string& what) {
  std::string content(limit + 1, '\0');
  std::size_t size = 0;
  while (size < content.size()) {
    const ssize_t n = read(fd, content.data() + size, content.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, what);
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  if (size > limit) return Tampered(what, "too large");
  content.resize(size);
  return content;
}

std::vector<std::uint64_t> ParseNumbers(std::string_view text) {
  std::vector<std::uint64_t> numbers;
  while (!text.empty()) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) return {};
    numbers.push_back(value);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty()) text.remove_prefix(1);
  }
  return numbers;
}

}  // namespace

absl::StatusOr<ControlDir> ControlDir::Prepare(const std::string& attempt_dir,
                                               const ControlDirOptions& options) {
  ControlDir dir;
  dir.path_ = attempt_dir + "/control";
  const bool root = geteuid() == 0;
  dir.owner_uid_ = root ? options.owner_uid : geteuid();
  const std::uint32_t gid = root ? options.owner_uid : getegid();

  const Fd attempt(open(attempt_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!attempt.valid()) return ErrnoError(errno, attempt_dir);
  if (faccessat(attempt.get(), "control.id", F_OK, 0) == 0) {
    return MakeError(absl::StatusCode::kAlreadyExists, "", dir.path_ + ": already prepared");
  }
  // Without control.id no container can have seen it.
  std::error_code error;
  std::filesystem::remove_all(dir.path_, error);
  if (error) return ErrnoError(error.value(), "remove " + dir.path_);

  if (mkdirat(attempt.get(), "control", 0700) != 0) return ErrnoError(errno, dir.path_);
  dir.fd_ = Fd(openat(attempt.get(), "control", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir.fd_.valid()) return ErrnoError(errno, dir.path_);
  const auto identify = [](int fd, Inode* inode) -> absl::Status {
    struct stat st {};
    if (fstat(fd, &st) != 0) return ErrnoError(errno, "stat");
    *inode = {st.st_dev, st.st_ino};
    return absl::OkStatus();
  };
  {
    SLIPWAY_ASSIGN_OR_RETURN(const Fd log, CreateFile(dir.fd(), "log", dir.owner_uid_, gid));
    SLIPWAY_ASSIGN_OR_RETURN(const Fd times,
                             CreateFile(dir.fd(), "log.times", dir.owner_uid_, gid));
    SLIPWAY_RETURN_IF_ERROR(identify(log.get(), &dir.log_));
    SLIPWAY_RETURN_IF_ERROR(identify(times.get(), &dir.times_));
  }
  SLIPWAY_RETURN_IF_ERROR(identify(dir.fd(), &dir.directory_));
  if (fchown(dir.fd(), dir.owner_uid_, gid) != 0 || fsync(dir.fd()) != 0) {
    return ErrnoError(errno, dir.path_);
  }

  const std::string id = fmt::format("{}\n{} {} {} {} {} {} {}\n", kIdHeader, dir.owner_uid_,
                                     dir.directory_.device, dir.directory_.number, dir.log_.device,
                                     dir.log_.number, dir.times_.device, dir.times_.number);
  const Fd file(openat(attempt.get(), "control.id.tmp",
                       O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, attempt_dir + "/control.id");
  SLIPWAY_RETURN_IF_ERROR(WriteAll(file.get(), id, attempt_dir + "/control.id"));
  if (fsync(file.get()) != 0 ||
      renameat(attempt.get(), "control.id.tmp", attempt.get(), "control.id") != 0 ||
      fsync(attempt.get()) != 0) {
    return ErrnoError(errno, attempt_dir + "/control.id");
  }
  return dir;
}

absl::StatusOr<ControlDir> ControlDir::Open(const std::string& attempt_dir) {
  ControlDir dir;
  dir.path_ = attempt_dir + "/control";
  const std::string id_path = attempt_dir + "/control.id";
  const Fd id(open(id_path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!id.valid()) return ErrnoError(errno, id_path);
  SLIPWAY_ASSIGN_OR_RETURN(const std::string content, ReadSmall(id.get(), kMaxIdFile, id_path));
  const std::string_view text = content;
  const bool header = text.substr(0, kIdHeader.size()) == kIdHeader;
  const std::vector<std::uint64_t> n =
      header ? ParseNumbers(text.substr(std::min(text.size(), kIdHeader.size() + 1)))
             : std::vector<std::uint64_t>{};
  if (n.size() != 7) {
    return MakeError(absl::StatusCode::kDataLoss, "", id_path + ": not understood");
  }
  dir.owner_uid_ = static_cast<std::uint32_t>(n[0]);
  dir.directory_ = {n[1], n[2]};
  dir.log_ = {n[3], n[4]};
  dir.times_ = {n[5], n[6]};

  dir.fd_ = Fd(open(dir.path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir.fd_.valid()) return ErrnoError(errno, dir.path_);
  struct stat st {};
  if (fstat(dir.fd(), &st) != 0) return ErrnoError(errno, dir.path_);
  if (st.st_dev != dir.directory_.device || st.st_ino != dir.directory_.number) {
    return Tampered(dir.path_, "another directory than the one prepared");
  }
  return dir;
}

absl::StatusOr<Fd> ControlDir::OpenChecked(const char* name, int flags, mode_t type,
                                           const Inode* expected) const {
  const std::string where = path_ + "/" + name;
  // O_NONBLOCK: a FIFO in the place of a file must not hold us.
  Fd fd(openat(fd_.get(), name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ENOENT && expected == nullptr) return ErrnoError(ENOENT, where);
    if (errno == ENOENT) return Tampered(where, "removed");
    if (errno == ELOOP) return Tampered(where, "a symbolic link");
    if (errno == ENXIO || errno == EISDIR) return Tampered(where, "not a regular file");
    return ErrnoError(errno, where);
  }
  struct stat st {};
  if (fstat(fd.get(), &st) != 0) return ErrnoError(errno, where);
  if ((st.st_mode & S_IFMT) != type) {
    return Tampered(where, S_ISLNK(st.st_mode) ? "a symbolic link" : "of another file type");
  }
  if (st.st_nlink != 1) return Tampered(where, "has more than one link");
  if (st.st_uid != owner_uid_) return Tampered(where, "of another owner");
  if (expected != nullptr && (st.st_dev != expected->device || st.st_ino != expected->number)) {
    return Tampered(where, "replaced by another file");
  }
  return fd;
}

absl::StatusOr<Fd> ControlDir::OpenLog() const {
  return OpenChecked("log", O_RDWR, S_IFREG, &log_);
}

absl::StatusOr<Fd> ControlDir::OpenTimes() const {
  return OpenChecked("log.times", O_RDWR, S_IFREG, &times_);
}

absl::StatusOr<Fd> ControlDir::OpenSocket() const {
  return OpenChecked("init.sock", O_PATH, S_IFSOCK, nullptr);
}

absl::StatusOr<init::StepResult> ControlDir::ReadResult(std::uint32_t step) const {
  const std::string name = fmt::format("step-{}.result", step);
  SLIPWAY_ASSIGN_OR_RETURN(const Fd file, OpenChecked(name.c_str(), O_RDONLY, S_IFREG, nullptr));
  const std::string where = path_ + "/" + name;
  SLIPWAY_ASSIGN_OR_RETURN(const std::string content,
                           ReadSmall(file.get(), init::kMaxResultFile, where));
  std::optional<init::StepResult> result = init::DecodeResultFile(content);
  if (!result) return Tampered(where, "not a result");
  if (result->step != step) return Tampered(where, "the result of another step");
  return *std::move(result);
}

}  // namespace slipway::initlink
