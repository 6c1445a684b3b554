#include "tests/support/engine_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <utility>

#include "common/base/check.h"

namespace slipway::testing {
namespace {

constexpr int kSliceMillis = 20;

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

// False: the connection is over.
bool Pass(int from, int to) {
  std::array<char, 65536> bytes{};
  const ssize_t size = ::recv(from, bytes.data(), bytes.size(), 0);
  if (size <= 0) return false;
  for (ssize_t sent = 0; sent < size;) {
    const ssize_t more =
        ::send(to, bytes.data() + sent, static_cast<std::size_t>(size - sent), MSG_NOSIGNAL);
    if (more <= 0) return false;
    sent += more;
  }
  return true;
}

}  // namespace

EngineProxy::EngineProxy(std::string path, std::string engine)
    : path_(std::move(path)), engine_(std::move(engine)) {
  Listen();
  thread_ = std::thread([this] { Serve(); });
}

EngineProxy::~EngineProxy() {
  stop_ = true;
  thread_.join();
  for (std::thread& carrier : carriers_) carrier.join();
  if (listener_ >= 0) ::close(listener_);
  ::unlink(path_.c_str());
}

void EngineProxy::Listen() {
  ::unlink(path_.c_str());
  const sockaddr_un address = AddressOf(path_);
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  SLIPWAY_CHECK(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
                0);
  SLIPWAY_CHECK(::listen(listener_, 64) == 0);
}

void EngineProxy::Cut(bool cut) {
  cut_ = cut;
  // The thread closes or opens the listener at its next look.
  while ((::access(path_.c_str(), F_OK) == 0) == cut) ::usleep(kSliceMillis * 1000);
}

void EngineProxy::Serve() {
  while (!stop_) {
    if (cut_ && listener_ >= 0) {
      ::close(std::exchange(listener_, -1));
      ::unlink(path_.c_str());
    }
    if (!cut_ && listener_ < 0) Listen();
    pollfd polled{listener_, POLLIN, 0};
    if (::poll(&polled, 1, kSliceMillis) <= 0 || listener_ < 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const int engine = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = AddressOf(engine_);
    SLIPWAY_CHECK(::connect(engine, reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
                  0);
    const std::lock_guard lock(mu_);
    carriers_.emplace_back([this, client, engine] { Carry(client, engine); });
  }
}

void EngineProxy::Carry(int client, int engine) {
  while (!stop_ && !cut_) {
    if (hang_) {
      ::usleep(kSliceMillis * 1000);
      continue;
    }
    std::array<pollfd, 2> polled{{{client, POLLIN, 0}, {engine, POLLIN, 0}}};
    if (::poll(polled.data(), polled.size(), kSliceMillis) <= 0 || hang_) continue;
    if (polled[0].revents != 0 && !Pass(client, engine)) break;
    if (polled[1].revents != 0 && !Pass(engine, client)) break;
  }
  ::close(client);
  ::close(engine);
}

}  // namespace slipway::testing
