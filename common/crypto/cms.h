#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/crypto/secret.h"

// Files that only the holder of one private key opens: CMS AuthEnvelopedData (RFC 5083) with
// AES-256-GCM and ECDH key agreement. `openssl cms -decrypt -inform PEM -inkey KEY` opens them too.
namespace slipway::crypto {

inline constexpr std::size_t kMaxSealedBytes = 256 * 1024;
inline constexpr std::size_t kMaxSealedDocument = 128 * 1024;

// `document` sealed for the key of `recipient_certificate_pem`, as PEM. kInvalidArgument: not an EC
// certificate, or a document larger than kMaxSealedDocument.
absl::StatusOr<std::string> Seal(std::string_view document,
                                 std::string_view recipient_certificate_pem);

// What was sealed. Nothing is given out of a file that was changed after sealing.
// kInvalidArgument (SEAL_BROKEN): not such a file, changed, cut, or of a weaker kind (short
// authentication tag, no authentication). kPermissionDenied (SEAL_FOREIGN_KEY): sealed for another
// certificate.
absl::StatusOr<SecretBytes> Open(std::string_view sealed_pem, std::string_view certificate_pem,
                                 std::string_view key_pem);

}  // namespace slipway::crypto
