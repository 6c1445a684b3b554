#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace slipway::fuzz {

// Makes values out of a fuzzer's input, front to back; behind the end everything is zero or empty,
// so that every input means something. Thread-compatible.
class ByteSource {
 public:
  ByteSource(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  [[nodiscard]] bool empty() const { return rest_.empty(); }

  std::uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  // Little endian, of `bytes` bytes.
  std::uint64_t Number(int bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= std::uint64_t{Byte()} << (8 * i);
    return value;
  }
  // Below `bound`, which is at most 256.
  std::size_t Below(std::size_t bound) { return Byte() % bound; }
  bool Flag() { return (Byte() & 1) != 0; }

  // At most `size` bytes.
  std::string_view Bytes(std::size_t size) {
    const std::string_view bytes = rest_.substr(0, std::min(size, rest_.size()));
    rest_.remove_prefix(bytes.size());
    return bytes;
  }
  std::string_view Rest() { return Bytes(rest_.size()); }

 private:
  std::string_view rest_;
};

}  // namespace slipway::fuzz
