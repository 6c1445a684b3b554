#include <sys/random.h>
#include <time.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "common/base/check.h"
#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace slipway {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::array<std::uint8_t, 16> RandomBytes() {
  std::array<std::uint8_t, 16> bytes{};
  SLIPWAY_CHECK(getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return bytes;
}

Duration ReadClock(clockid_t id) {
  timespec ts{};
  SLIPWAY_CHECK(clock_gettime(id, &ts) == 0);
  return std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec);
}

}  // namespace

namespace internal {
void CheckFailed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, expression);
  std::abort();
}
}  // namespace internal

std::optional<Sha256Digest> Sha256Digest::Parse(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  if (text.substr(0, kPrefix.size()) == kPrefix) text.remove_prefix(kPrefix.size());
  if (text.size() != 2 * kSize) return std::nullopt;
  std::array<std::uint8_t, kSize> bytes{};
  for (std::size_t i = 0; i < kSize; ++i) {
    const int high = HexValue(text[2 * i]);
    const int low = HexValue(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return Sha256Digest(bytes);
}

std::optional<Sha256Digest> Sha256Digest::FromBytes(std::string_view bytes) {
  if (bytes.size() != kSize) return std::nullopt;
  std::array<std::uint8_t, kSize> copy{};
  for (std::size_t i = 0; i < kSize; ++i) copy[i] = static_cast<std::uint8_t>(bytes[i]);
  return Sha256Digest(copy);
}

std::string Sha256Digest::Hex() const { return HexEncode(Bytes()); }

std::string HexEncode(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<std::uint8_t>(c);
    text.push_back(kHexDigits[byte >> 4]);
    text.push_back(kHexDigits[byte & 15]);
  }
  return text;
}

std::string NewId(const char* prefix) {
  constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string id = prefix;
  unsigned buffer = 0;
  int bits = 0;
  for (const std::uint8_t byte : RandomBytes()) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      id.push_back(kAlphabet[(buffer >> bits) & 31]);
    }
  }
  id.push_back(kAlphabet[(buffer << (5 - bits)) & 31]);
  return id;
}

std::string NewUuid() {
  auto bytes = RandomBytes();
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string hex = HexEncode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  for (const std::size_t at : {8U, 13U, 18U, 23U}) hex.insert(at, "-");
  return hex;
}

MonoTime SystemClock::Mono() const { return MonoTime(ReadClock(CLOCK_BOOTTIME)); }
WallTime SystemClock::Wall() const { return WallTime(ReadClock(CLOCK_REALTIME)); }

}  // namespace slipway
