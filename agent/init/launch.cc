#include "agent/init/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace slipway::init {
namespace {

constexpr int kPipeSize = 1 << 20;
constexpr int kExecPatienceMs = 30'000;
constexpr int kOomScoreAboveInit = 200;
constexpr char kTooLateMark[] = "start_before";

// What the child tells its parent when it cannot start the program. Fixed size: one write.
struct StartFailure {
  int error_number;
  char what[32];
};

[[noreturn]] void Fail(int report_fd, const char* what) {
  StartFailure failure{errno, {}};
  snprintf(failure.what, sizeof(failure.what), "%s", what);
  (void)!write(report_fd, &failure, sizeof(failure));
  _exit(127);
}

// Makes the kernel take a step rather than process 1 when memory is short. Best effort: /proc may
// be missing.
void RaiseOomScore() {
  Fd fd(open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC));
  char text[16] = {};
  if (!fd.valid() || read(fd.get(), text, sizeof(text) - 1) <= 0) return;
  const int score = std::min(1000, atoi(text) + kOomScoreAboveInit);
  const int n = snprintf(text, sizeof(text), "%d", score);
  (void)!pwrite(fd.get(), text, static_cast<std::size_t>(n), 0);
}

// No call in here may take memory or locks of the parent's: it runs between fork and exec.
[[noreturn]] void RunChild(const StepSpec& spec, char* const* argv, char* const* envp,
                           const std::vector<std::string>& candidates, int output_fd,
                           int report_fd) {
  if (setsid() < 0) Fail(report_fd, "setsid");
  setfsuid(0);
  setfsgid(0);
  RaiseOomScore();

  const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null_fd < 0) Fail(report_fd, "open /dev/null");
  if (dup2(null_fd, 0) < 0 || dup2(output_fd, 1) < 0 || dup2(output_fd, 2) < 0) {
    Fail(report_fd, "dup2");
  }
  syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */);

  const rlimit no_core{0, 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) Fail(report_fd, "setrlimit core");
  if (spec.max_file_size > 0) {
    const rlimit size{spec.max_file_size, spec.max_file_size};
    if (setrlimit(RLIMIT_FSIZE, &size) != 0) Fail(report_fd, "setrlimit fsize");
  }

  for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; ++cap) {
    if (prctl(PR_CAPBSET_DROP, cap) != 0) Fail(report_fd, "drop bounding set");
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    Fail(report_fd, "clear ambient set");
  }
  if (setgroups(0, nullptr) != 0) Fail(report_fd, "setgroups");
  if (setresgid(spec.gid, spec.gid, spec.gid) != 0) Fail(report_fd, "setresgid");
  if (setresuid(spec.uid, spec.uid, spec.uid) != 0) Fail(report_fd, "setresuid");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) Fail(report_fd, "capset");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) Fail(report_fd, "no_new_privs");

  umask(022);
  if (chdir(spec.cwd.c_str()) != 0) Fail(report_fd, "chdir");
  signal(SIGPIPE, SIG_DFL);
  signal(SIGXFSZ, SIG_DFL);
  sigset_t empty;
  sigemptyset(&empty);
  sigprocmask(SIG_SETMASK, &empty, nullptr);

  if (spec.start_before_ns > 0) {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    errno = ETIME;
    if (now.tv_sec * 1'000'000'000LL + now.tv_nsec >= spec.start_before_ns) {
      Fail(report_fd, kTooLateMark);
    }
  }
  int error = ENOENT;
  for (const auto& path : candidates) {
    for (int left = 100;; --left) {
      execve(path.c_str(), argv, envp);
      // A process that the agent has just forked may hold a script open that was written for us,
      // until its own exec.
      if (errno != ETXTBSY || left == 0) break;
      const timespec pause{0, 10'000'000};
      nanosleep(&pause, nullptr);
    }
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
    // A program that is there but broken ends the search; one that we may not run does not.
    if (error != ENOENT && error != EACCES) break;
  }
  errno = error;
  Fail(report_fd, "execve");
}

std::vector<std::string> Candidates(const StepSpec& spec) {
  const std::string& program = spec.argv.front();
  if (program.find('/') != std::string::npos) return {program};
  std::string_view path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const auto& variable : spec.env) {
    if (variable.rfind("PATH=", 0) == 0) path = std::string_view(variable).substr(5);
  }
  std::vector<std::string> candidates;
  while (!path.empty()) {
    const std::string_view dir = path.substr(0, path.find(':'));
    path.remove_prefix(std::min(path.size(), dir.size() + 1));
    // An empty entry would mean the working directory, which a build script can fill.
    if (!dir.empty()) candidates.push_back(std::string(dir) + "/" + program);
  }
  return candidates;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const auto& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Launched Launch(const StepSpec& spec) {
  Launched result;
  int output[2];
  int report[2];
  if (pipe2(output, O_CLOEXEC) != 0) {
    result.problem = ErrnoProblem("pipe", errno);
    return result;
  }
  Fd output_read(output[0]);
  Fd output_write(output[1]);
  if (pipe2(report, O_CLOEXEC) != 0) {
    result.problem = ErrnoProblem("pipe", errno);
    return result;
  }
  Fd report_read(report[0]);
  Fd report_write(report[1]);
  // May be refused when root holds many pipes already; a smaller pipe only costs speed.
  fcntl(output[0], F_SETPIPE_SZ, kPipeSize);
  fcntl(output[0], F_SETFL, O_NONBLOCK);

  const std::vector<char*> argv = Pointers(spec.argv);
  const std::vector<char*> envp = Pointers(spec.env);
  const std::vector<std::string> candidates = Candidates(spec);
  const pid_t pid = fork();
  if (pid < 0) {
    result.problem = ErrnoProblem("fork", errno);
    return result;
  }
  if (pid == 0) RunChild(spec, argv.data(), envp.data(), candidates, output[1], report[1]);
  output_write.Reset();
  report_write.Reset();

  StartFailure failure{};
  pollfd waiting{report_read.get(), POLLIN, 0};
  int ready;
  do {
    ready = poll(&waiting, 1, kExecPatienceMs);
  } while (ready < 0 && errno == EINTR);
  ssize_t n = 0;
  if (ready > 0) n = read(report_read.get(), &failure, sizeof(failure));
  if (ready > 0 && n == 0) {
    result.pid = pid;
    result.output = std::move(output_read);
    return result;
  }
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (n == static_cast<ssize_t>(sizeof(failure))) {
    failure.what[sizeof(failure.what) - 1] = '\0';
    const std::string_view what = failure.what;
    std::string subject(what);
    if (what == "execve") subject += " " + spec.argv.front();
    if (what == "chdir") subject += " " + spec.cwd;
    result.problem = ErrnoProblem(subject, failure.error_number);
    result.too_late = what == kTooLateMark;
  } else {
    result.problem = "the program did not start within 30 s";
  }
  return result;
}

}  // namespace slipway::init
