#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>

namespace slipway::cli {

// Hands values from several threads to one; a full queue makes the givers wait. Thread-safe.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  // False, and the value is dropped, when `stop` was requested.
  bool Push(T value, const std::stop_token& stop) {
    std::unique_lock lock(mu_);
    if (!changed_.wait(lock, stop, [this] { return values_.size() < capacity_; })) return false;
    values_.push_back(std::move(value));
    changed_.notify_all();
    return true;
  }

  // nullopt when `stop` was requested.
  std::optional<T> Pop(const std::stop_token& stop) {
    std::unique_lock lock(mu_);
    if (!changed_.wait(lock, stop, [this] { return !values_.empty(); })) return std::nullopt;
    T value = std::move(values_.front());
    values_.pop_front();
    changed_.notify_all();
    return value;
  }

 private:
  const std::size_t capacity_;
  std::mutex mu_;
  std::condition_variable_any changed_;
  std::deque<T> values_;  // guarded by mu_
};

}  // namespace slipway::cli
