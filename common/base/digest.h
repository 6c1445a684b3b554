#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace slipway {

// A SHA-256: names blobs, manifests and logs. Text form is "sha256:" + 64 lower-case hex digits.
// Computing one is common/crypto's business; this is only the value. Thread-compatible.
class Sha256Digest {
 public:
  static constexpr std::size_t kSize = 32;

  constexpr Sha256Digest() = default;
  constexpr explicit Sha256Digest(const std::array<std::uint8_t, kSize>& bytes) : bytes_(bytes) {}

  // Accepts 64 hex digits of either case, with or without "sha256:". nullopt: anything else.
  static std::optional<Sha256Digest> Parse(std::string_view text);
  // Accepts exactly 32 bytes. nullopt: another size.
  static std::optional<Sha256Digest> FromBytes(std::string_view bytes);

  [[nodiscard]] std::string Hex() const;
  [[nodiscard]] std::string ToString() const { return "sha256:" + Hex(); }
  [[nodiscard]] std::string Bytes() const { return {bytes_.begin(), bytes_.end()}; }
  [[nodiscard]] const std::array<std::uint8_t, kSize>& array() const { return bytes_; }
  // True for the all-zero value, which stands for "none".
  [[nodiscard]] bool IsZero() const { return bytes_ == std::array<std::uint8_t, kSize>{}; }

  friend auto operator<=>(const Sha256Digest&, const Sha256Digest&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Sha256Digest& d) {
    return H::combine(std::move(h), d.bytes_);
  }
  friend std::ostream& operator<<(std::ostream& out, const Sha256Digest& d) {
    return out << d.ToString();
  }

 private:
  std::array<std::uint8_t, kSize> bytes_{};
};

// Lower-case hex of any bytes.
std::string HexEncode(std::string_view bytes);

}  // namespace slipway
