#include "common/crypto/pem.h"

#include <openssl/pem.h>

#include "common/status/status.h"

namespace slipway::crypto::internal {
namespace {

constexpr std::size_t kMaxPem = 64 * 1024;

// Instead of OpenSSL's default, which would ask on the terminal.
int NoPassword(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return -1; }

absl::StatusOr<BioPtr> OpenPem(std::string_view pem, std::string_view what) {
  if (pem.size() > kMaxPem) {
    return MakeError(absl::StatusCode::kInvalidArgument, "",
                     std::string(what) + " is larger than 64 KiB");
  }
  return ReadBio(pem);
}

}  // namespace

absl::StatusOr<X509Ptr> ParseCertificate(std::string_view pem) {
  SLIPWAY_ASSIGN_OR_RETURN(const BioPtr bio, OpenPem(pem, "the certificate"));
  X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr));
  if (certificate == nullptr) {
    return StatusFromOpenSsl(absl::StatusCode::kInvalidArgument, "not a PEM certificate");
  }
  return certificate;
}

absl::StatusOr<PkeyPtr> ParsePrivateKey(std::string_view pem) {
  SLIPWAY_ASSIGN_OR_RETURN(const BioPtr bio, OpenPem(pem, "the private key"));
  PkeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
  if (key == nullptr) {
    return StatusFromOpenSsl(absl::StatusCode::kInvalidArgument,
                             "not a PEM private key without password");
  }
  return key;
}

absl::StatusOr<RequestPtr> ParseRequest(std::string_view pem) {
  SLIPWAY_ASSIGN_OR_RETURN(const BioPtr bio, OpenPem(pem, "the certificate request"));
  RequestPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, NoPassword, nullptr));
  if (request == nullptr) {
    return StatusFromOpenSsl(absl::StatusCode::kInvalidArgument, "not a PEM certificate request");
  }
  return request;
}

absl::StatusOr<std::string> CertificateToPem(X509* certificate) {
  const BioPtr bio = MemoryBio(/*secret=*/false);
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) {
    return StatusFromOpenSsl(absl::StatusCode::kInternal, "cannot write the certificate");
  }
  return std::string(BioView(bio.get()));
}

absl::StatusOr<std::string> RequestToPem(X509_REQ* request) {
  const BioPtr bio = MemoryBio(/*secret=*/false);
  if (PEM_write_bio_X509_REQ(bio.get(), request) != 1) {
    return StatusFromOpenSsl(absl::StatusCode::kInternal, "cannot write the certificate request");
  }
  return std::string(BioView(bio.get()));
}

absl::StatusOr<SecretBytes> PrivateKeyToPem(EVP_PKEY* key) {
  const BioPtr bio = MemoryBio(/*secret=*/true);
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return StatusFromOpenSsl(absl::StatusCode::kInternal, "cannot write the private key");
  }
  return SecretBytes::CopyOf(BioView(bio.get()));
}

}  // namespace slipway::crypto::internal
