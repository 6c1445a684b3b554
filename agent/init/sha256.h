#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace slipway::init {

// A running SHA-256 whose value can be asked for in mid-stream. OpenSSL's low-level functions: the
// provider machinery of the high-level ones would make the static process 1 ten times as large.
// Thread-compatible.
class RunningSha256 {
 public:
  RunningSha256();
  ~RunningSha256();
  RunningSha256(const RunningSha256&) = delete;
  RunningSha256& operator=(const RunningSha256&) = delete;

  void Update(std::string_view bytes);
  [[nodiscard]] std::array<std::uint8_t, 32> Value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slipway::init
