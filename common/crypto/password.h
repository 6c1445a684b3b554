#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

// How passwords are kept: argon2id (RFC 9106) with a salt of its own, 19 MiB and 2 passes, which is
// OWASP's smallest recommended setting; the hash says what it was made with, so a higher cost later
// leaves older ones valid. About 30 ms of one core each way.
namespace slipway::crypto {

inline constexpr std::size_t kShortestPassword = 10;
inline constexpr std::size_t kLongestPassword = 1024;

// kInvalidArgument, reason BAD_PASSWORD: too short or too long.
[[nodiscard]] absl::Status CheckNewPassword(std::string_view password);

// Thread-safe.
[[nodiscard]] std::string HashPassword(std::string_view password);

// `hash` "": no password fits, after as much work as for any other. Thread-safe.
[[nodiscard]] bool FitsPassword(const std::string& hash, std::string_view password);

// 20 characters that are told apart in print and on the telephone, about 100 bits. Thread-safe.
[[nodiscard]] std::string NewPassword();

}  // namespace slipway::crypto
