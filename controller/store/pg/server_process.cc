#include "controller/store/pg/server_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/process/v2/posix/default_launcher.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/process/v2/stdio.hpp>
#include <cerrno>
#include <utility>

#include "common/status/status.h"

namespace slipway::store::pg {
namespace {

namespace bp = boost::process::v2;

constexpr std::size_t kMaxCommandLine = 64 * 1024;

// glibc 2.36 declares its own wrappers without C linkage.
int OpenPidfd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }
int SendSignal(int pidfd, int signal_number) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0));
}

int PollMillis(Duration limit) {
  const auto millis = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
  return static_cast<int>(std::clamp<std::int64_t>(millis, 0, 1'000'000'000));
}

// Runs in the child between fork and exec: only async-signal-safe calls.
struct BecomeServer {
  uid_t uid;
  gid_t gid;
  const gid_t* groups;
  std::size_t group_count;
  bool drop;

  bp::error_code on_exec_setup(bp::posix::default_launcher&, const bp::filesystem::path&,
                               const char* const*(&)) const {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    umask(077);
    if (setsid() < 0 || chdir("/") != 0) return LastError();
    if (drop && (setgroups(group_count, groups) != 0 || setgid(gid) != 0 || setuid(uid) != 0)) {
      return LastError();
    }
    return {};
  }

  static bp::error_code LastError() { return {errno, boost::system::system_category()}; }
};

class ScopedFd {
 public:
  explicit ScopedFd(int fd) : fd_(fd) {}
  ScopedFd(const ScopedFd&) = delete;
  ScopedFd& operator=(const ScopedFd&) = delete;
  ~ScopedFd() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  const int fd_;
};

std::string ReadUpTo(int fd, std::size_t max_bytes) {
  std::string text(max_bytes, '\0');
  std::size_t filled = 0;
  while (filled < max_bytes) {
    const ssize_t got = read(fd, text.data() + filled, max_bytes - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    filled += static_cast<std::size_t>(got);
  }
  text.resize(filled);
  return text;
}

}  // namespace

absl::StatusOr<ServerProcess> ServerProcess::Spawn(const ProgramToRun& program) {
  const ScopedFd input(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const ScopedFd output(open(program.output_file.c_str(),
                             O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
                             0600));
  if (input.get() < 0) return ErrnoError(errno, "opening /dev/null");
  if (output.get() < 0) {
    return ErrnoError(errno, fmt::format("opening {}", program.output_file.string()));
  }
  const BecomeServer become{.uid = program.user.uid,
                            .gid = program.user.gid,
                            .groups = program.user.groups.data(),
                            .group_count = program.user.groups.size(),
                            .drop = program.user.uid != geteuid()};
  constexpr const char* kEnvironment[] = {
      "LC_ALL=C", "TZ=UTC", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      nullptr};
  boost::asio::io_context context;
  bp::posix::default_launcher launcher;
  launcher.env = kEnvironment;
  boost::system::error_code error;
  auto process = launcher(context.get_executor(), error,
                          bp::filesystem::path(program.program.string()), program.arguments,
                          bp::process_stdio{{input.get()}, {output.get()}, {output.get()}}, become);
  if (error) {
    return WithContext(ErrnoError(error.value(), program.program.string()), "starting a program");
  }
  const pid_t pid = process.id();
  // The library would end the process with the object; ours must outlive even this program.
  process.detach();
  const int fd = OpenPidfd(pid);
  if (fd < 0) return ErrnoError(errno, "pidfd_open");
  return ServerProcess(pid, fd, /*is_child=*/true);
}

absl::StatusOr<ServerProcess> ServerProcess::Attach(pid_t pid) {
  const int fd = OpenPidfd(pid);
  if (fd < 0) {
    if (errno == ESRCH) return absl::NotFoundError(fmt::format("there is no process {}", pid));
    return ErrnoError(errno, "pidfd_open");
  }
  return ServerProcess(pid, fd, /*is_child=*/false);
}

ServerProcess::ServerProcess(ServerProcess&& other) noexcept { *this = std::move(other); }

ServerProcess& ServerProcess::operator=(ServerProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(fd_, other.fd_);
  std::swap(is_child_, other.is_child_);
  std::swap(exit_code_, other.exit_code_);
  return *this;
}

ServerProcess::~ServerProcess() {
  if (fd_ >= 0) close(fd_);
}

bool ServerProcess::WaitForEnd(Duration limit) {
  pollfd waited{.fd = fd_, .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = poll(&waited, 1, PollMillis(limit));
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) return false;
  if (is_child_) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    is_child_ = false;
  }
  return true;
}

absl::Status ServerProcess::Signal(int signal_number) {
  if (SendSignal(fd_, signal_number) == 0 || errno == ESRCH) {
    return absl::OkStatus();
  }
  return ErrnoError(errno, fmt::format("signal {} to process {}", signal_number, pid_));
}

absl::Status RunToEnd(const ProgramToRun& program, Duration deadline) {
  SLIPWAY_ASSIGN_OR_RETURN(ServerProcess process, ServerProcess::Spawn(program));
  if (!process.WaitForEnd(deadline)) {
    (void)process.Signal(SIGKILL);
    (void)process.WaitForEnd(std::chrono::seconds(10));
    return absl::DeadlineExceededError(
        fmt::format("{} did not end within {} s and was killed", program.program.string(),
                    std::chrono::duration_cast<std::chrono::seconds>(deadline).count()));
  }
  if (process.exit_code() != 0) {
    return absl::InternalError(fmt::format("{} ended with exit code {}: {}",
                                           program.program.string(), process.exit_code(),
                                           TailOfFile(program.output_file, 2000)));
  }
  return absl::OkStatus();
}

std::string TailOfFile(const std::filesystem::path& file, std::size_t max_bytes) {
  const ScopedFd fd(open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (fd.get() < 0 || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) return "";
  const auto wanted = static_cast<off_t>(max_bytes);
  if (info.st_size > wanted) lseek(fd.get(), info.st_size - wanted, SEEK_SET);
  std::string text = ReadUpTo(fd.get(), max_bytes);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::optional<ProcessIdentity> IdentifyProcess(pid_t pid) {
  const ScopedFd fd(open(fmt::format("/proc/{}/cmdline", pid).c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (fd.get() < 0 || fstat(fd.get(), &info) != 0) return std::nullopt;
  ProcessIdentity identity{.uid = info.st_uid, .arguments = {}};
  const std::string text = ReadUpTo(fd.get(), kMaxCommandLine);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\0', at), text.size());
    identity.arguments.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return identity;
}

}  // namespace slipway::store::pg
