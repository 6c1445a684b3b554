#include "agent/init/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace slipway::init {

Problem Channel::Listen(const std::string& control_path) {
  const std::string path = control_path + "/init.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return path + ": too long for a socket";
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  listener_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener_.valid()) return ErrnoProblem("socket", errno);
  const mode_t old = umask(0177);
  const int bound =
      bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  umask(old);
  if (bound != 0) return ErrnoProblem(path, error);
  if (listen(listener_.get(), 4) != 0) return ErrnoProblem("listen", errno);
  return {};
}

bool Channel::Accept() {
  Fd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.valid()) return false;
  ucred peer{};
  socklen_t size = sizeof(peer);
  // A process that this namespace can see is a step's, not the agent.
  if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid != 0) {
    return false;
  }
  Close();
  connection_ = std::move(fd);
  input_ = std::make_unique<FrameBuffer>();
  return true;
}

void Channel::Close() {
  connection_.Reset();
  input_.reset();
  Wipe(queue_);
  ring_pending_ = false;
}

void Channel::Send(const Event& event) {
  if (!connected()) return;
  queue_ += Encode(event);
  if (queue_.size() > kMaxQueued) {
    Close();
    return;
  }
  Flush();
}

void Channel::Ring(std::uint64_t spool_end) {
  if (!connected()) return;
  ring_end_ = spool_end;
  ring_pending_ = true;
  if (queue_.empty()) OnWritable();
}

void Channel::OnWritable() {
  Flush();
  if (!queue_.empty() || !ring_pending_) return;
  ring_pending_ = false;
  Send(Doorbell{ring_end_});
}

void Channel::Flush() {
  while (connected() && !queue_.empty()) {
    const ssize_t n = send(connection_.get(), queue_.data(), queue_.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) {
      Close();
      return;
    }
    queue_.erase(0, static_cast<std::size_t>(n));
  }
}

void Channel::OnReadable(const std::function<void(std::string_view frame)>& handle) {
  char buffer[16 << 10];
  const ssize_t n = recv(connection_.get(), buffer, sizeof(buffer), 0);
  if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return;
  if (n <= 0) {
    Close();
    return;
  }
  input_->Append({buffer, static_cast<std::size_t>(n)});
  explicit_bzero(buffer, static_cast<std::size_t>(n));
  while (connected()) {
    const auto frame = input_->Next();
    if (!frame) break;
    handle(*frame);
  }
  if (connected() && input_->broken()) Close();
}

}  // namespace slipway::init
