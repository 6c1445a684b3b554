#include "common/crypto/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "common/base/check.h"
#include "common/crypto/openssl_ptr.h"

namespace slipway::crypto {
namespace {

// Fetching an algorithm takes a lock and a lookup each time; one fetch serves every hasher.
const EVP_MD* Sha256Algorithm() {
  static const EVP_MD* const kAlgorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  SLIPWAY_CHECK(kAlgorithm != nullptr);
  return kAlgorithm;
}

}  // namespace

struct Sha256Hasher::Context {
  internal::DigestContextPtr md{EVP_MD_CTX_new()};
};

Sha256Hasher::Sha256Hasher() : context_(std::make_unique<Context>()) {
  SLIPWAY_CHECK(context_->md != nullptr);
  SLIPWAY_CHECK(EVP_DigestInit_ex2(context_->md.get(), Sha256Algorithm(), nullptr) == 1);
}

Sha256Hasher::~Sha256Hasher() = default;
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;

void Sha256Hasher::Update(std::string_view bytes) {
  SLIPWAY_CHECK(EVP_DigestUpdate(context_->md.get(), bytes.data(), bytes.size()) == 1);
}

Sha256Digest Sha256Hasher::Finish() {
  std::array<std::uint8_t, Sha256Digest::kSize> bytes{};
  unsigned int size = 0;
  SLIPWAY_CHECK(EVP_DigestFinal_ex(context_->md.get(), bytes.data(), &size) == 1);
  SLIPWAY_CHECK(size == bytes.size());
  SLIPWAY_CHECK(EVP_DigestInit_ex2(context_->md.get(), nullptr, nullptr) == 1);
  return Sha256Digest(bytes);
}

Sha256Digest Sha256Of(std::string_view bytes) {
  Sha256Hasher hasher;
  hasher.Update(bytes);
  return hasher.Finish();
}

Sha256Digest HmacSha256(std::string_view key, std::string_view message) {
  std::array<std::uint8_t, Sha256Digest::kSize> bytes{};
  unsigned int size = 0;
  const auto* text = reinterpret_cast<const unsigned char*>(message.data());
  SLIPWAY_CHECK(HMAC(Sha256Algorithm(), key.data(), static_cast<int>(key.size()), text,
                     message.size(), bytes.data(), &size) != nullptr);
  SLIPWAY_CHECK(size == bytes.size());
  return Sha256Digest(bytes);
}

}  // namespace slipway::crypto
