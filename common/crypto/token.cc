#include "common/crypto/token.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdint>

#include "common/base/check.h"
#include "common/crypto/hash.h"

namespace slipway::crypto {
namespace {

constexpr std::size_t kTokenBytes = 32;

template <typename Out>
void EncodeBase32(std::string_view bytes, Out out) {
  constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::uint32_t pending = 0;
  int bits = 0;
  for (const char c : bytes) {
    pending = (pending << 8) | static_cast<std::uint8_t>(c);
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      *out++ = kAlphabet[(pending >> bits) & 31];
    }
  }
  if (bits > 0) *out++ = kAlphabet[(pending << (5 - bits)) & 31];
}

std::size_t Base32Size(std::size_t bytes) { return (bytes * 8 + 4) / 5; }

}  // namespace

SecretBytes RandomBytes(std::size_t size) {
  SecretBytes bytes(size);
  SLIPWAY_CHECK(
      RAND_priv_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size)) == 1);
  return bytes;
}

SecretBytes NewToken(std::string_view prefix) {
  const SecretBytes random = RandomBytes(kTokenBytes);
  SecretBytes token(prefix.size() + Base32Size(kTokenBytes));
  EncodeBase32(random.view(), std::copy(prefix.begin(), prefix.end(), token.data()));
  return token;
}

Sha256Digest HashToken(std::string_view token) { return Sha256Of(token); }

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string Base32(std::string_view bytes) {
  std::string text(Base32Size(bytes.size()), '\0');
  EncodeBase32(bytes, text.begin());
  return text;
}

}  // namespace slipway::crypto
