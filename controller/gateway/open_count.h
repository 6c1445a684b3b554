#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

namespace slipway::gateway {

// Counts what is under way elsewhere and will come back. Must outlive all of it. Thread-safe.
class OpenCount {
 public:
  // Counted until the handle dies.
  [[nodiscard]] std::shared_ptr<void> Open() {
    const std::lock_guard lock(mu_);
    ++open_;
    return {this, [this](void*) {
              const std::lock_guard closing(mu_);
              if (--open_ == 0) none_.notify_all();
            }};
  }

  void WaitUntilNone() {
    std::unique_lock lock(mu_);
    none_.wait(lock, [this] { return open_ == 0; });
  }

 private:
  std::mutex mu_;
  std::condition_variable none_;
  std::size_t open_ = 0;
};

}  // namespace slipway::gateway
