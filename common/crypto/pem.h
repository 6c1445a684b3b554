#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/crypto/openssl_ptr.h"
#include "common/crypto/secret.h"

// PEM to OpenSSL's objects and back. Only for the .cc files of common/crypto. Reading never
// prompts: an encrypted key is an error.
namespace slipway::crypto::internal {

absl::StatusOr<X509Ptr> ParseCertificate(std::string_view pem);
absl::StatusOr<PkeyPtr> ParsePrivateKey(std::string_view pem);
absl::StatusOr<RequestPtr> ParseRequest(std::string_view pem);

absl::StatusOr<std::string> CertificateToPem(X509* certificate);
absl::StatusOr<std::string> RequestToPem(X509_REQ* request);
absl::StatusOr<SecretBytes> PrivateKeyToPem(EVP_PKEY* key);

}  // namespace slipway::crypto::internal
