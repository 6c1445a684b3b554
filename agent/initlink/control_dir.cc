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
// Owner, then device and inode of the directory, the log and its times; those of a second directory
// may follow.
constexpr std::size_t kIdNumbers = 7;

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

// The group of that number as well, which an agent without root does not choose.
bool GiveTo(int fd, std::uint32_t uid) {
  return fchown(fd, uid, geteuid() == 0 ? uid : getegid()) == 0;
}

absl::StatusOr<Fd> CreateFile(int dir_fd, const char* name, std::uint32_t uid) {
  Fd fd(openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid() || !GiveTo(fd.get(), uid)) {
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

absl::StatusOr<ControlDir::Inode> ControlDir::Identify(int fd) {
  struct stat st {};
  if (fstat(fd, &st) != 0) return ErrnoError(errno, "stat");
  return Inode{st.st_dev, st.st_ino};
}

absl::StatusOr<ControlDir> ControlDir::MakeDirectory(const std::string& parent,
                                                     const ControlDirOptions& options) {
  ControlDir dir;
  dir.path_ = parent + "/control";
  const bool root = geteuid() == 0;
  dir.owner_uid_ = root ? options.owner_uid : geteuid();
  std::error_code error;
  std::filesystem::remove_all(dir.path_, error);
  if (error) return ErrnoError(error.value(), "remove " + dir.path_);
  if (mkdir(dir.path_.c_str(), 0700) != 0) return ErrnoError(errno, dir.path_);
  dir.fd_ = Fd(open(dir.path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir.fd_.valid()) return ErrnoError(errno, dir.path_);
  SLIPWAY_ASSIGN_OR_RETURN(dir.directory_, Identify(dir.fd()));
  return dir;
}

absl::StatusOr<ControlDir> ControlDir::Prepare(const std::string& attempt_dir,
                                               const ControlDirOptions& options) {
  if (access((attempt_dir + "/control.id").c_str(), F_OK) == 0) {
    return MakeError(absl::StatusCode::kAlreadyExists, "",
                     attempt_dir + "/control: already prepared");
  }
  // What is there was prepared by half: without control.id no container can have seen it.
  SLIPWAY_ASSIGN_OR_RETURN(ControlDir dir, MakeDirectory(attempt_dir, options));
  {
    SLIPWAY_ASSIGN_OR_RETURN(const Fd log, CreateFile(dir.fd(), "log", dir.owner_uid_));
    SLIPWAY_ASSIGN_OR_RETURN(const Fd times, CreateFile(dir.fd(), "log.times", dir.owner_uid_));
    SLIPWAY_ASSIGN_OR_RETURN(dir.log_, Identify(log.get()));
    SLIPWAY_ASSIGN_OR_RETURN(dir.times_, Identify(times.get()));
  }
  if (!GiveTo(dir.fd(), dir.owner_uid_)) return ErrnoError(errno, dir.path_);
  SLIPWAY_RETURN_IF_ERROR(dir.WriteId(nullptr));
  return dir;
}

absl::StatusOr<ControlDir> ControlDir::PrepareWaiting(const std::string& parent,
                                                      const ControlDirOptions& options) {
  SLIPWAY_ASSIGN_OR_RETURN(ControlDir dir, MakeDirectory(parent, options));
  if (!GiveTo(dir.fd(), dir.owner_uid_)) return ErrnoError(errno, dir.path_);
  return dir;
}

absl::Status ControlDir::WriteId(const Inode* other) const {
  std::string id =
      fmt::format("{}\n{} {} {} {} {} {} {}", kIdHeader, owner_uid_, directory_.device,
                  directory_.number, log_.device, log_.number, times_.device, times_.number);
  if (other != nullptr) id += fmt::format(" {} {}", other->device, other->number);
  id += '\n';
  const std::string attempt_dir = path_.substr(0, path_.rfind('/'));
  const std::string path = attempt_dir + "/control.id";
  const Fd attempt(open(attempt_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!attempt.valid()) return ErrnoError(errno, attempt_dir);
  const Fd file(openat(attempt.get(), "control.id.tmp",
                       O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return ErrnoError(errno, path);
  SLIPWAY_RETURN_IF_ERROR(WriteAll(file.get(), id, path));
  // Not every file system writes the content before the name.
  if (fdatasync(file.get()) != 0 ||
      renameat(attempt.get(), "control.id.tmp", attempt.get(), "control.id") != 0) {
    return ErrnoError(errno, path);
  }
  return absl::OkStatus();
}

absl::Status ControlDir::Join(ControlDir waiting) {
  const auto unlink_both = [](int dir_fd) {
    (void)unlinkat(dir_fd, "log", 0);
    (void)unlinkat(dir_fd, "log.times", 0);
  };
  for (const char* name : {"log", "log.times"}) {
    if (linkat(fd(), name, waiting.fd(), name, 0) == 0) continue;
    const int error = errno;
    unlink_both(waiting.fd());
    return ErrnoError(error, fmt::format("link {} into {}", name, waiting.path_));
  }
  // Both are right until the exchange has happened, and after it. Which of them a machine that went
  // down finds does not matter: the container is gone as well.
  absl::Status moved = WriteId(&waiting.directory_);
  if (moved.ok() &&
      renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, waiting.path_.c_str(), RENAME_EXCHANGE) != 0) {
    moved = ErrnoError(errno, fmt::format("exchange {} and {}", path_, waiting.path_));
  }
  if (!moved.ok()) {
    unlink_both(waiting.fd());
    return moved;
  }
  // Until then each has a second link, which nobody accepts.
  unlink_both(fd());
  directory_ = waiting.directory_;
  fd_ = std::move(waiting.fd_);
  return absl::OkStatus();
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
  if (n.size() != kIdNumbers && n.size() != kIdNumbers + 2) {
    return MakeError(absl::StatusCode::kDataLoss, "", id_path + ": not understood");
  }
  dir.owner_uid_ = static_cast<std::uint32_t>(n[0]);
  dir.log_ = {n[3], n[4]};
  dir.times_ = {n[5], n[6]};

  dir.fd_ = Fd(open(dir.path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir.fd_.valid()) return ErrnoError(errno, dir.path_);
  SLIPWAY_ASSIGN_OR_RETURN(dir.directory_, Identify(dir.fd()));
  const Inode first{n[1], n[2]};
  const Inode second = n.size() == kIdNumbers ? first : Inode{n[7], n[8]};
  if (dir.directory_ != first && dir.directory_ != second) {
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

void ControlDir::ForgetInit() const { (void)unlinkat(fd(), "init.sock", 0); }

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
