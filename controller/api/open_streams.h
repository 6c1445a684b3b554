#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "absl/status/status.h"

namespace slipway::api {

// The streams that follow runs and logs. They end with what they follow, which may be in an hour,
// so the controller's stop ends them here instead of waiting. Must outlive them. Thread-safe.
class OpenStreams {
 public:
  using End = std::function<void(const absl::Status& why)>;

  // EndAll calls `end`, from its own thread, unless the returned handle has died before. Null: all
  // streams were ended already, and so must this one be.
  [[nodiscard]] std::shared_ptr<void> Add(End end);

  // Ends every stream with Stopping(), now and in future.
  void EndAll();

  // kUnavailable, reason STOPPING.
  [[nodiscard]] static absl::Status Stopping();

 private:
  std::mutex mu_;
  bool ended_ = false;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, End> streams_;
};

}  // namespace slipway::api
