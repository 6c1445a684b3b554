#include "common/crypto/password.h"

#include <argon2.h>
#include <fmt/format.h>

#include <array>

#include "common/base/check.h"
#include "common/crypto/token.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

constexpr std::uint32_t kPasses = 2;
constexpr std::uint32_t kMemoryKib = 19'456;
constexpr std::uint32_t kLanes = 1;
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHashBytes = 32;
constexpr std::size_t kPasswordCharacters = 20;

}  // namespace

absl::Status CheckNewPassword(std::string_view password) {
  if (password.size() >= kShortestPassword && password.size() <= kLongestPassword) {
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument, "BAD_PASSWORD",
      fmt::format("a password has {} to {} bytes", kShortestPassword, kLongestPassword),
      "A sentence is easy to remember and long enough.");
}

std::string HashPassword(std::string_view password) {
  const SecretBytes salt = RandomBytes(kSaltBytes);
  std::array<char, 256> encoded{};
  const int done = argon2id_hash_encoded(kPasses, kMemoryKib, kLanes, password.data(),
                                         password.size(), salt.view().data(), salt.size(),
                                         kHashBytes, encoded.data(), encoded.size());
  SLIPWAY_CHECK(done == ARGON2_OK);
  return encoded.data();
}

bool FitsPassword(const std::string& hash, std::string_view password) {
  // Of nobody's password: random bytes that nobody has seen.
  static const std::string kNobodys = HashPassword(RandomBytes(32).view());
  const std::string& against = hash.empty() ? kNobodys : hash;
  const bool fits = argon2id_verify(against.c_str(), password.data(), password.size()) == ARGON2_OK;
  return fits && !hash.empty();
}

std::string NewPassword() {
  // base32 has neither 0 nor 1, which look like letters.
  return Base32(RandomBytes(kPasswordCharacters).view()).substr(0, kPasswordCharacters);
}

}  // namespace slipway::crypto
