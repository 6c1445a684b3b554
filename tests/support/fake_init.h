#pragma once

#include <atomic>
#include <optional>
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
  struct Script {
    // It is shutting down: no step is taken.
    bool refuses_steps = false;
    // How a step ends as soon as it was begun; nullopt: it never does.
    std::optional<init::StepResult> end = std::nullopt;
  };

  // REQUIRES: the directory is there, without a socket.
  explicit FakeInit(const std::string& control) : FakeInit(control, Script()) {}
  FakeInit(const std::string& control, Script script);
  ~FakeInit() { Die(); }
  FakeInit(const FakeInit&) = delete;
  FakeInit& operator=(const FakeInit&) = delete;

  void Die();

 private:
  void Serve();
  // False: it hung up.
  [[nodiscard]] bool Answer(int peer, init::FrameBuffer& input) const;

  const Script script_;
  init::Fd listener_;
  std::atomic<bool> dead_ = false;
  std::thread thread_;
};

}  // namespace slipway::testing
