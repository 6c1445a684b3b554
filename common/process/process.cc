#include "common/process/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/process/child.hpp>
#include <boost/process/exe.hpp>
#include <boost/process/extend.hpp>
#include <boost/process/start_dir.hpp>
#include <cerrno>
#include <string_view>
#include <utility>

#include "common/base/check.h"
#include "common/fs/unique_fd.h"
#include "common/status/status.h"

namespace slipway::process {
namespace {

namespace bp = boost::process;

struct Pipe {
  fs::UniqueFd read;
  fs::UniqueFd write;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return ErrnoError(errno, "cannot make a pipe");
  Pipe pipe{fs::UniqueFd(fds[0]), fs::UniqueFd(fds[1])};
  // Only our end: the flag belongs to the open file, and a program may not expect it on its own.
  fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
  return pipe;
}

// The last `max` bytes of a stream; holds at most twice as many.
class Tail {
 public:
  explicit Tail(std::size_t max) : max_(max) {}

  void Append(std::string_view bytes) {
    total_ += bytes.size();
    text_.append(bytes.substr(bytes.size() - std::min(bytes.size(), max_)));
    if (text_.size() > 2 * max_) text_.erase(0, text_.size() - max_);
  }
  std::string Take(std::uint64_t& dropped) {
    if (text_.size() > max_) text_.erase(0, text_.size() - max_);
    dropped = total_ - text_.size();
    return std::move(text_);
  }

 private:
  const std::size_t max_;
  std::uint64_t total_ = 0;
  std::string text_;
};

// False at the end of the stream.
bool Drain(int fd, Tail& tail) {
  std::array<char, 16384> buffer;
  // Bounded: a program that writes without end must not starve the deadline.
  for (int turn = 0; turn < 16; ++turn) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 && errno == EAGAIN;
    tail.Append({buffer.data(), static_cast<std::size_t>(got)});
  }
  return true;
}

// How the program is started. The argument vector goes to the kernel as it is: Boost's own would
// take quotes off and cannot hold an empty argument.
class Launch : public bp::extend::handler {
 public:
  Launch(char** argv, char** envp, int out, int err, const Command& command)
      : argv_(argv),
        envp_(envp),
        out_(out),
        err_(err),
        files_(command.files),
        dies_with_(command.dies_with_caller ? getpid() : 0) {}

  template <typename Executor>
  void on_setup(Executor& executor) const {
    executor.cmd_line = argv_;
    executor.env = envp_;
  }

  // In the forked child, before it becomes the program: async-signal-safe calls only.
  template <typename Executor>
  void on_exec_setup(Executor&) const {
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(out_, 1);
    dup2(err_, 2);
    // Marked rather than closed: the launcher reports a failed exec through one of them.
    syscall(SYS_close_range, 3U, ~0U, kCloseRangeCloexec);
    for (const int file : files_) fcntl(file, F_SETFD, 0);
    // What those hold may be secret, and this process's own protection ends with exec.
    const rlimit no_core{0, 0};
    if (!files_.empty()) setrlimit(RLIMIT_CORE, &no_core);
    setpgid(0, 0);
    if (dies_with_ != 0) {
      // Of the thread, which waits for the program as long as it lives.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != dies_with_) _exit(127);
    }
    for (int signal_number = 1; signal_number < NSIG; ++signal_number) {
      signal(signal_number, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
  }

 private:
  static constexpr unsigned kCloseRangeCloexec = 4;
  char** const argv_;
  char** const envp_;
  const int out_;
  const int err_;
  const std::vector<int>& files_;
  const pid_t dies_with_;  // 0: it does not
};

// 0 or an errno value.
int Spawn(const Command& command, const std::string& program, int out, int err, pid_t& pid) {
  std::vector<char*> argv;
  for (const auto& argument : command.argv) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<std::string> variables;
  for (const auto& [name, value] : command.env) variables.push_back(name + "=" + value);
  std::vector<char*> envp;
  for (auto& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);
  const std::string directory = command.cwd.empty() ? "." : command.cwd;
  std::error_code error;
  bp::child child(bp::exe = program, bp::start_dir = directory,
                  Launch(argv.data(), envp.data(), out, err, command), error);
  if (error) return error.value();
  pid = child.id();
  // Supervise waits for it.
  child.detach();
  return 0;
}

// Boost.Process would search the PATH of this process.
std::string FindProgram(const Command& command) {
  const std::string& name = command.argv.front();
  if (name.find('/') != std::string::npos) return name;
  const auto path = command.env.find("PATH");
  std::string_view rest =
      path == command.env.end() ? "/usr/bin:/bin" : std::string_view(path->second);
  while (!rest.empty()) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    const std::string candidate = fmt::format("{}/{}", rest.substr(0, colon), name);
    rest.remove_prefix(std::min(colon + 1, rest.size()));
    if (candidate.front() == '/' && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

// One running program; leaves no process of its group and no zombie behind.
class Child {
 public:
  Child(pid_t pid, fs::UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    Signal(SIGKILL);
    Reap();
  }

  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] int wait_status() const { return status_; }

  // The leader is not reaped before the group is killed, so the number cannot be another's.
  void Signal(int signal) const {
    if (!reaped_) kill(-pid_, signal);
  }
  // Notes that the leader has ended, without reaping it.
  void NoteEnd() {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == pid_) {
      ended_ = true;
    }
  }
  void Reap() {
    if (reaped_) return;
    while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
  }

 private:
  const pid_t pid_;
  fs::UniqueFd pidfd_;
  bool ended_ = false;
  bool reaped_ = false;
  int status_ = 0;
};

int MillisUntil(MonoTime now, MonoTime then) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(then - now).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

Result Supervise(const Command& command, Child& child, fs::UniqueFd out, fs::UniqueFd err, int wake,
                 const std::stop_token& stop) {
  const SystemClock clock;
  Tail out_tail(command.max_output);
  Tail err_tail(command.max_output);
  const MonoTime deadline = clock.Mono() + command.timeout;
  // After the leader's end its output may still be in the pipes, or in the hands of a daemon.
  constexpr auto kDrainTime = std::chrono::milliseconds(500);
  MonoTime kill_at = deadline;
  bool terminating = false;
  bool killed = false;
  Result result;
  while (!child.ended() || out.valid() || err.valid()) {
    const MonoTime now = clock.Mono();
    if (!terminating && !child.ended() && (stop.stop_requested() || now >= deadline)) {
      terminating = true;
      result.end = stop.stop_requested() ? Result::End::kStopped : Result::End::kTimedOut;
      kill_at = now + command.kill_grace;
      child.Signal(SIGTERM);
    }
    if ((terminating || child.ended()) && now >= kill_at) {
      if (killed) break;
      child.Signal(SIGKILL);
      killed = true;
      kill_at = now + kDrainTime;
    }
    std::array<pollfd, 4> polled{{{child.ended() ? -1 : child.pidfd(), POLLIN, 0},
                                  {out.get(), POLLIN, 0},
                                  {err.get(), POLLIN, 0},
                                  {terminating ? -1 : wake, POLLIN, 0}}};
    if (poll(polled.data(), polled.size(), MillisUntil(now, kill_at)) < 0) continue;
    if (polled[1].revents != 0 && !Drain(out.get(), out_tail)) out.Reset();
    if (polled[2].revents != 0 && !Drain(err.get(), err_tail)) err.Reset();
    if (polled[0].revents != 0) {
      child.NoteEnd();
      if (child.ended()) kill_at = std::min(kill_at, clock.Mono() + kDrainTime);
    }
  }
  child.Signal(SIGKILL);
  child.Reap();
  result.out = out_tail.Take(result.out_dropped);
  result.err = err_tail.Take(result.err_dropped);
  if (terminating) return result;
  if (WIFSIGNALED(child.wait_status())) {
    result.end = Result::End::kSignaled;
    result.signal = WTERMSIG(child.wait_status());
  } else {
    result.exit_code = WEXITSTATUS(child.wait_status());
  }
  return result;
}

}  // namespace

absl::StatusOr<Result> Run(const Command& command, const std::stop_token& stop) {
  SLIPWAY_CHECK(!command.argv.empty());
  if (stop.stop_requested()) {
    Result result;
    result.end = Result::End::kStopped;
    return result;
  }
  const std::string program = FindProgram(command);
  if (program.empty()) {
    return MakeError(absl::StatusCode::kNotFound, "PROGRAM_MISSING",
                     fmt::format("the program '{}' is not installed", command.argv.front()),
                     fmt::format("Install '{}' on this machine.", command.argv.front()));
  }
  // The launcher would start the program somewhere else instead.
  if (!command.cwd.empty() && access(command.cwd.c_str(), X_OK) != 0) {
    return ErrnoError(errno, fmt::format("cannot start {} in {}", program, command.cwd));
  }
  SLIPWAY_ASSIGN_OR_RETURN(Pipe out, MakePipe());
  SLIPWAY_ASSIGN_OR_RETURN(Pipe err, MakePipe());
  const fs::UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoError(errno, "cannot make an eventfd");
  pid_t pid = 0;
  const int error = Spawn(command, program, out.write.get(), err.write.get(), pid);
  if (error != 0) {
    return ErrnoError(error, fmt::format("cannot start {}{}", program,
                                         command.cwd.empty() ? "" : " in " + command.cwd));
  }
  Child child(pid, fs::UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))));
  if (child.pidfd() < 0) return ErrnoError(errno, "cannot watch the process");
  out.write.Reset();
  err.write.Reset();
  const std::stop_callback on_stop(stop, [fd = wake.get()] { eventfd_write(fd, 1); });
  return Supervise(command, child, std::move(out.read), std::move(err.read), wake.get(), stop);
}

}  // namespace slipway::process
