#include "controller/store/pg/worker_pool.h"

#include <fmt/format.h>
#include <pthread.h>

#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/base/check.h"
#include "common/status/status.h"

namespace slipway::store::pg {

class WorkerPool::Impl {
 public:
  Impl(std::string name, int threads, std::size_t queue_limit)
      : name_(std::move(name)), queue_limit_(queue_limit) {
    SLIPWAY_CHECK(threads > 0 && queue_limit > 0);
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { Work(); });
      pthread_setname_np(threads_.back().native_handle(),
                         fmt::format("{}-{}", name_, i).substr(0, 15).c_str());
    }
  }

  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  ~Impl() {
    {
      absl::MutexLock lock(&mu_);
      stopping_ = true;
    }
    for (std::thread& thread : threads_) thread.join();
  }

  absl::Status Submit(std::function<void()> work) {
    absl::MutexLock lock(&mu_);
    if (queue_.size() >= queue_limit_) {
      return MakeError(absl::StatusCode::kResourceExhausted, "POOL_BUSY",
                       fmt::format("{} calls wait for a '{}' worker already", queue_.size(), name_),
                       "Try again in a moment.");
    }
    queue_.push_back(std::move(work));
    return absl::OkStatus();
  }

 private:
  void Work() {
    const auto ready = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return stopping_ || !queue_.empty();
    };
    for (;;) {
      std::function<void()> work;
      {
        absl::MutexLock lock(&mu_);
        mu_.Await(absl::Condition(&ready));
        if (queue_.empty()) return;
        work = std::move(queue_.front());
        queue_.pop_front();
      }
      work();
    }
  }

  // Constant after construction.
  const std::string name_;
  const std::size_t queue_limit_;
  std::vector<std::thread> threads_;

  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mu_);
};

WorkerPool::WorkerPool(std::string name, int threads, std::size_t queue_limit)
    : impl_(std::make_unique<Impl>(std::move(name), threads, queue_limit)) {}
WorkerPool::~WorkerPool() = default;

absl::Status WorkerPool::Submit(std::function<void()> work) {
  return impl_->Submit(std::move(work));
}

}  // namespace slipway::store::pg
