#pragma once

#include <memory>
#include <string_view>

#include "common/base/digest.h"

namespace slipway::crypto {

// SHA-256 over bytes that arrive in pieces; the split does not matter. One hasher serves many
// messages: Finish starts the next one. Thread-compatible.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;

  void Update(std::string_view bytes);
  // The digest of everything since construction or the last Finish.
  Sha256Digest Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// The digest of one message. Thread-safe.
Sha256Digest Sha256Of(std::string_view bytes);

// HMAC-SHA-256 (RFC 2104) of one message. Thread-safe.
Sha256Digest HmacSha256(std::string_view key, std::string_view message);

}  // namespace slipway::crypto
