#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/time.h"
#include "common/fs/unique_fd.h"

// Talks to the service manager that started this program: systemd, or whatever understands its
// datagrams (sd_notify(3)).
namespace slipway::supervisor {

// What the service manager put into the environment; null: not set.
struct Environment {
  const char* notify_socket = nullptr;  // NOTIFY_SOCKET
  const char* watchdog_usec = nullptr;  // WATCHDOG_USEC
  const char* watchdog_pid = nullptr;   // WATCHDOG_PID
};

// Says how the program is. Nothing happens when nobody wants to know; a manager that does not
// listen costs at most a second per message. Thread-safe.
class Notifier {
 public:
  // A malformed variable counts as not set: a program does not fail because of who watches it.
  explicit Notifier(const Environment& environment);

  // The program does its work from now on.
  void Ready(std::string_view status) const;
  // One line for people (`systemctl status`).
  void Status(std::string_view status) const;
  // The end has begun.
  void Stopping(std::string_view status) const;
  // The main loop turns.
  void Alive() const;

  // The program is killed when it was not Alive() for this long; nullopt: it is not watched.
  [[nodiscard]] std::optional<Duration> watchdog() const { return watchdog_; }

 private:
  void Send(std::string_view message) const;

  // Constant after construction.
  fs::UniqueFd socket_;
  std::optional<Duration> watchdog_;
};

}  // namespace slipway::supervisor
