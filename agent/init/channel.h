#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/init/posix.h"
#include "agent/init/protocol.h"

namespace slipway::init {

// The socket of process 1: at most one agent at a time, a newcomer replaces its predecessor, and
// nothing here ever blocks. Peers inside the container's own PID namespace are turned away.
// Thread-compatible.
class Channel {
 public:
  // An agent that lets this much pile up is cut off; it finds out by Hello when it comes back.
  static constexpr std::size_t kMaxQueued = std::size_t{1} << 20;

  // Binds init.sock in `control_path`.
  [[nodiscard]] Problem Listen(const std::string& control_path);

  [[nodiscard]] int listen_fd() const { return listener_.get(); }
  [[nodiscard]] int fd() const { return connection_.get(); }
  [[nodiscard]] bool connected() const { return connection_.valid(); }
  [[nodiscard]] bool wants_write() const { return !queue_.empty(); }

  // Takes a waiting connection. True: there is a new one, which expects Hello.
  bool Accept();
  // Queues and sends what goes. Without a connection the event is dropped: files tell the rest.
  void Send(const Event& event);
  // A doorbell needs no queue: one that does not fit now rings with the newest end later.
  void Ring(std::uint64_t spool_end);
  void OnWritable();
  // Reads and hands each frame to `handle`, which may call Send.
  void OnReadable(const std::function<void(std::string_view frame)>& handle);
  void Close();

 private:
  void Flush();

  Fd listener_;
  Fd connection_;
  std::unique_ptr<FrameBuffer> input_;
  std::string queue_;
  bool ring_pending_ = false;
  std::uint64_t ring_end_ = 0;
};

}  // namespace slipway::init
