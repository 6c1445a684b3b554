#include "controller/cli/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "common/fs/files.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"

namespace slipway::cli {
namespace {

constexpr char kTerminal[] = "/dev/tty";

// What is typed is not shown while this exists.
class Silence {
 public:
  explicit Silence(int terminal) : terminal_(terminal) {
    if (tcgetattr(terminal_, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL;
    // Also forgets what was typed before the question, which was shown.
    active_ = tcsetattr(terminal_, TCSAFLUSH, &silent) == 0;
  }
  ~Silence() {
    if (active_) tcsetattr(terminal_, TCSAFLUSH, &before_);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

  [[nodiscard]] bool active() const { return active_; }

 private:
  const int terminal_;
  termios before_{};
  bool active_ = false;
};

absl::StatusOr<std::string> ReadLine(int terminal, const std::stop_token& stop) {
  const fs::UniqueFd stopped(eventfd(0, EFD_CLOEXEC));
  const std::stop_callback wake(stop, [&stopped] {
    const std::uint64_t one = 1;
    (void)!write(stopped.get(), &one, sizeof one);
  });
  std::string line;
  while (true) {
    pollfd wait[2] = {{terminal, POLLIN, 0}, {stopped.get(), POLLIN, 0}};
    if (poll(wait, 2, -1) < 0 && errno != EINTR) return ErrnoError(errno, kTerminal);
    if (stop.stop_requested()) return InterruptedError();
    if (wait[0].revents == 0) continue;
    char c = 0;
    const ssize_t n = read(terminal, &c, 1);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return ErrnoError(errno, kTerminal);
    if (n == 0) return absl::InvalidArgumentError("the question was not answered");
    if (c == '\n') return line;
    line += c;
  }
}

}  // namespace

bool HasTerminal() {
  const fs::UniqueFd terminal(open(kTerminal, O_RDWR | O_CLOEXEC | O_NOCTTY));
  return terminal.valid();
}

absl::StatusOr<std::string> AskOnTerminal(const std::string& question, bool secret,
                                          const std::stop_token& stop) {
  const fs::UniqueFd terminal(open(kTerminal, O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal.valid()) return ErrnoError(errno, kTerminal);
  if (!secret) {
    SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(terminal.get(), question, kTerminal));
    return ReadLine(terminal.get(), stop);
  }
  const Silence silence(terminal.get());
  if (!silence.active()) return ErrnoError(ENOTTY, kTerminal);
  SLIPWAY_RETURN_IF_ERROR(fs::WriteAll(terminal.get(), question, kTerminal));
  return ReadLine(terminal.get(), stop);
}

}  // namespace slipway::cli
