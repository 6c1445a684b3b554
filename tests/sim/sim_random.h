#pragma once

#include <cstdint>

namespace slipway::sim {

// SplitMix64: the same numbers for the same seed everywhere, and cheap to make, so that whatever
// should not depend on the order of other draws has one of its own.
class SimRandom {
 public:
  explicit SimRandom(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
  }
  // [0, bound); 0 for bound 0.
  std::uint64_t Below(std::uint64_t bound) { return bound == 0 ? 0 : Next() % bound; }
  bool Chance(double probability) {
    return probability > 0 && static_cast<double>(Next() >> 11U) * 0x1p-53 < probability;
  }

 private:
  std::uint64_t state_;
};

}  // namespace slipway::sim
