#include "tests/support/scripted_socket.h"

#include <fmt/format.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <map>
#include <utility>

#include "common/base/check.h"

namespace slipway::testing {

ScriptedSocket::ScriptedSocket(std::vector<Reply> replies) : replies_(std::move(replies)) {
  directory_ = "/tmp/slipway-socket-XXXXXX";
  SLIPWAY_CHECK(::mkdtemp(directory_.data()) != nullptr);
  path_ = directory_ + "/s";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  SLIPWAY_CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  SLIPWAY_CHECK(::listen(listener_, 16) == 0);
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  SLIPWAY_CHECK(stop_ >= 0);
  thread_ = std::thread([this] { Serve(); });
}

ScriptedSocket::~ScriptedSocket() {
  SLIPWAY_CHECK(::eventfd_write(stop_, 1) == 0);
  thread_.join();
  ::close(listener_);
  ::close(stop_);
  ::unlink(path_.c_str());
  ::rmdir(directory_.c_str());
}

std::vector<std::string> ScriptedSocket::requests() const {
  const std::lock_guard lock(mu_);
  return requests_;
}

std::string ScriptedSocket::Http(int status, const std::string& body,
                                 const std::string& extra_headers) {
  return fmt::format(
      "HTTP/1.1 {} Text\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{}",
      status, body.size(), extra_headers, body);
}

void ScriptedSocket::Serve() {
  std::map<int, std::string> received;  // by connection; a body counts to the next request's head
  std::size_t answered = 0;
  while (true) {
    std::vector<pollfd> polled = {{stop_, POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const auto& [fd, bytes] : received) polled.push_back({fd, POLLIN, 0});
    ::poll(polled.data(), polled.size(), -1);
    if (polled[0].revents != 0) break;
    if (polled[1].revents != 0) {
      received[::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)];
      ++connections_;
    }
    for (std::size_t i = 2; i < polled.size(); ++i) {
      if (polled[i].revents == 0) continue;
      const int fd = polled[i].fd;
      std::array<char, 4096> buffer{};
      const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
      bool open = size > 0;
      if (open) received[fd].append(buffer.data(), static_cast<std::size_t>(size));
      if (const std::size_t end = received[fd].find("\r\n\r\n"); open && end != std::string::npos) {
        {
          const std::lock_guard lock(mu_);
          requests_.push_back(received[fd].substr(0, end));
        }
        received[fd].clear();
        if (answered < replies_.size()) {
          const Reply& reply = replies_[answered++];
          (void)::send(fd, reply.bytes.data(), reply.bytes.size(), MSG_NOSIGNAL);
          open = !reply.close_after;
        }
      }
      if (!open) {
        ::close(fd);
        received.erase(fd);
        ++closed_;
      }
    }
  }
  for (const auto& [fd, bytes] : received) ::close(fd);
}

}  // namespace slipway::testing
