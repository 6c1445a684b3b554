#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::mask {

// Shorter values are not masked: they would hide the log rather than the secret. Whoever accepts
// secrets must refuse them.
inline constexpr std::size_t kMinSecret = 4;
// Longer values are not masked as a whole, only by their lines.
inline constexpr std::size_t kMaxSecret = std::size_t{32} << 10;

// The byte strings under which `secret` may show up in a log: the value, the value without trailing
// line ends, its lines of at least kMinSecret bytes, base64 (both alphabets, padded or not, and for
// values of 8 bytes or more the part of it that shows at any alignment inside longer encoded data),
// percent-encoding, JSON escaping (these two of each line as well). Each at least kMinSecret bytes,
// sorted, without repeats; empty for a value that is too short. Thread-safe.
std::vector<std::string> SecretForms(std::string_view secret);

}  // namespace slipway::mask
