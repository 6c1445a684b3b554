#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/digest.h"
#include "common/crypto/secret.h"

// Tokens that people and machines carry (join tokens, API tokens, nonces) and how they are kept.
namespace slipway::crypto {

// `size` bytes from the operating system's generator. Thread-safe.
SecretBytes RandomBytes(std::size_t size);

// 256 random bits as 52 lower-case base32 characters behind `prefix`: URL-safe, no padding, and
// one double-click selects it. Thread-safe.
SecretBytes NewToken(std::string_view prefix);

// What the database keeps of a token: with 256 random bits inside, a plain SHA-256 can be neither
// inverted nor searched, and finding a row by it leaks nothing through timing.
Sha256Digest HashToken(std::string_view token);

// Equality whose duration depends on the lengths only.
bool ConstantTimeEqual(std::string_view a, std::string_view b);

// RFC 4648 base32 in lower case without padding.
std::string Base32(std::string_view bytes);

}  // namespace slipway::crypto
