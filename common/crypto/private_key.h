#pragma once

#include <string_view>

namespace slipway::crypto {

// What a text that should be a private key is.
enum class PrivateKeyKind {
  kRsa,
  kOtherAlgorithm,  // EC, Ed25519, …
  kEncrypted,       // behind a password
  kPublic,          // a public key or a certificate
  kNone,            // no PEM, or a damaged one
};

// Of the first private key in `pem` (PKCS#1 or PKCS#8). Never asks for a password. Thread-safe.
[[nodiscard]] PrivateKeyKind ClassifyPrivateKey(std::string_view pem);

}  // namespace slipway::crypto
