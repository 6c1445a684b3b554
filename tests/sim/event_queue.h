#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "common/base/time.h"

namespace slipway::sim {

using Job = std::function<void()>;

// What happens when, earliest first; equal times in the order in which they were added. Only small
// keys move in the heap; the functions stay in their slots.
class EventQueue {
 public:
  void Add(MonoTime at, Job what) {
    std::uint32_t slot = 0;
    if (free_.empty()) {
      slot = static_cast<std::uint32_t>(jobs_.size());
      jobs_.push_back(std::move(what));
    } else {
      slot = free_.back();
      free_.pop_back();
      jobs_[slot] = std::move(what);
    }
    heap_.push_back({at, ++last_order_, slot});
    std::push_heap(heap_.begin(), heap_.end(), Later);
  }
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  // REQUIRES: not empty.
  [[nodiscard]] MonoTime next() const { return heap_.front().at; }
  // REQUIRES: not empty.
  [[nodiscard]] Job Pop() {
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    const std::uint32_t slot = heap_.back().slot;
    heap_.pop_back();
    free_.push_back(slot);
    return std::exchange(jobs_[slot], nullptr);
  }

 private:
  struct Key {
    MonoTime at;
    std::uint64_t order = 0;
    std::uint32_t slot = 0;
  };
  static bool Later(const Key& a, const Key& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }

  std::vector<Key> heap_;
  std::vector<Job> jobs_;
  std::vector<std::uint32_t> free_;
  std::uint64_t last_order_ = 0;
};

}  // namespace slipway::sim
