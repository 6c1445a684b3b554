#include "common/supervisor/notifier.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace slipway::supervisor {
namespace {

constexpr timeval kPatience{.tv_sec = 1, .tv_usec = 0};

std::optional<std::int64_t> NumberOf(const char* text) {
  if (text == nullptr) return std::nullopt;
  std::int64_t number = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, number);
  if (error != std::errc() || stop != end || number <= 0) return std::nullopt;
  return number;
}

// A path, or '@' and the name of an abstract socket.
fs::UniqueFd Connect(std::string_view path) {
  sockaddr_un address{};
  if (path.size() < 2 || path.size() >= sizeof address.sun_path) return {};
  if (path.front() != '/' && path.front() != '@') return {};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  if (path.front() == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  fs::UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return {};
  (void)setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return {};
  return fd;
}

// A status is one line.
std::string StatusLine(std::string_view status) {
  std::string line = "STATUS=";
  line += status;
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line + "\n";
}

}  // namespace

Notifier::Notifier(const Environment& environment) {
  if (environment.notify_socket == nullptr) return;
  socket_ = Connect(environment.notify_socket);
  if (!socket_.valid()) return;
  const auto pid = NumberOf(environment.watchdog_pid);
  if (environment.watchdog_pid != nullptr && pid != getpid()) return;
  if (const auto usec = NumberOf(environment.watchdog_usec)) {
    watchdog_ = std::chrono::microseconds(*usec);
  }
}

void Notifier::Ready(std::string_view status) const { Send("READY=1\n" + StatusLine(status)); }
void Notifier::Status(std::string_view status) const { Send(StatusLine(status)); }
void Notifier::Stopping(std::string_view status) const {
  Send("STOPPING=1\n" + StatusLine(status));
}
void Notifier::Alive() const { Send("WATCHDOG=1\n"); }

void Notifier::Send(std::string_view message) const {
  if (!socket_.valid()) return;
  // Nobody is helped by an error here: whoever does not hear it acts on that.
  (void)send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL);
}

}  // namespace slipway::supervisor
