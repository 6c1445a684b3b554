#pragma once

#include <compare>
#include <cstdint>
#include <ostream>
#include <string>
#include <utility>

namespace slipway {

// A value that must not be mixed with another of the same representation: `Tag` makes each
// instantiation a type of its own. Explicit to make, free to compare and hash, never converts.
// Thread-compatible.
template <typename Tag, typename Rep>
class StrongType {
 public:
  using RepType = Rep;

  constexpr StrongType() = default;
  constexpr explicit StrongType(Rep value) : value_(std::move(value)) {}

  [[nodiscard]] constexpr const Rep& value() const { return value_; }
  friend constexpr auto operator<=>(const StrongType&, const StrongType&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const StrongType& v) {
    return H::combine(std::move(h), v.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, const StrongType& v) {
    return out << v.value_;
  }

 private:
  Rep value_{};
};

}  // namespace slipway
