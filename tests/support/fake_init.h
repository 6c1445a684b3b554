#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "agent/init/posix.h"
#include "agent/init/protocol.h"

namespace slipway::testing {

// Something that talks like slipway-init at the socket of a control directory: acknowledges every
// command and runs nothing. Dies when told, or with the object.
class FakeInit {
 public:
  // REQUIRES: the directory is there, without a socket.
  explicit FakeInit(const std::string& control);
  ~FakeInit() { Die(); }
  FakeInit(const FakeInit&) = delete;
  FakeInit& operator=(const FakeInit&) = delete;

  void Die();

 private:
  void Serve();
  // False: it hung up.
  [[nodiscard]] static bool Answer(int peer, init::FrameBuffer& input);

  init::Fd listener_;
  std::atomic<bool> dead_ = false;
  std::thread thread_;
};

}  // namespace slipway::testing
