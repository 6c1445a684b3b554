#include "controller/work/recurring.h"

#include <utility>

namespace slipway::work {

Recurring::Recurring(const Options& options, std::function<bool()> work)
    : options_(options), work_(std::move(work)), thread_([this] { Loop(); }) {}

Recurring::~Recurring() {
  {
    const std::lock_guard lock(mu_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Recurring::Loop() {
  std::unique_lock lock(mu_);
  while (!stop_) {
    lock.unlock();
    const bool more = work_();
    lock.lock();
    wake_.wait_for(lock, more ? options_.pause : options_.interval, [this] { return stop_; });
  }
}

}  // namespace slipway::work
