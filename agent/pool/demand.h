#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <vector>

#include "agent/pool/kind.h"
#include "common/base/time.h"

namespace slipway::pool {

struct DemandOptions {
  // A wish counts for so long.
  Duration memory = std::chrono::minutes(30);
  // Wishes within this time want containers at once: it is about what making a few takes.
  Duration burst = std::chrono::seconds(5);
};

// How many containers of each kind are worth having ready, from what was wished for lately. Pure:
// reads no clock. Thread-compatible.
class Demand {
 public:
  explicit Demand(DemandOptions options = {}) : options_(options) {}

  // A build wants a container of this kind. Times never go back.
  void Wish(const Kind& kind, MonoTime now);

  // One of this kind cannot be made: nothing is wished for until somebody wishes again.
  void Forget(const Kind& kind) { wishes_.erase(kind); }

  struct Target {
    Kind kind;
    std::size_t ready = 0;
  };
  // The kinds wished for, the latest first, each with the most wishes of any burst, `capacity` at
  // most in all. Every kind gets one before any gets a second.
  [[nodiscard]] std::vector<Target> Targets(std::size_t capacity, MonoTime now);

 private:
  static constexpr std::size_t kMaxWishes = 1000;

  [[nodiscard]] std::size_t LargestBurst(const std::deque<MonoTime>& wishes) const;

  const DemandOptions options_;
  std::map<Kind, std::deque<MonoTime>> wishes_;
};

}  // namespace slipway::pool
