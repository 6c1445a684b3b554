#include <fmt/format.h>
#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/check.h"
#include "common/crypto/hash.h"
#include "common/crypto/package_cms.h"
#include "common/crypto/password.h"
#include "common/crypto/pem.h"
#include "common/crypto/sink_bio.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

using absl::StatusCode;
using internal::StatusFromOpenSsl;

// OpenSSL's CMS knows PBKDF2 with HMAC-SHA-1 only, so its cost is the count.
constexpr int kPasswordRounds = 1'300'000;
// Of one BIO_write, whose sizes are ints.
constexpr std::size_t kMaxWrite = std::size_t{1} << 30;

constexpr std::array<std::pair<PackageCipher, std::string_view>, 3> kNames{{
    {PackageCipher::kAes256Gcm, "aes-256-gcm"},
    {PackageCipher::kAes256Cbc, "aes-256-cbc"},
    {PackageCipher::kSm4Cbc, "sm4-cbc"},
}};

const EVP_CIPHER* CipherOf(PackageCipher cipher) {
  switch (cipher) {
    case PackageCipher::kAes256Cbc: return EVP_aes_256_cbc();
    case PackageCipher::kSm4Cbc: return EVP_sm4_cbc();
    default: return EVP_aes_256_gcm();
  }
}

absl::Status BadCertificate(std::string_view why) {
  return MakeError(
      StatusCode::kInvalidArgument, "BAD_FIELD", why,
      "Name a certificate in PEM whose key is RSA of 2048 to 8192 bits, or EC on P-256, "
      "P-384 or P-521.");
}

bool IsUsable(EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA: return EVP_PKEY_get_bits(key) >= 2048 && EVP_PKEY_get_bits(key) <= 8192;
    case EVP_PKEY_EC: {
      std::array<char, 64> group{};
      if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group.data(),
                                         group.size(), nullptr) != 1) {
        return false;
      }
      const std::string_view name(group.data());
      return name == "prime256v1" || name == "secp384r1" || name == "secp521r1";
    }
    default: return false;
  }
}

// What OpenSSL would leave out without a word.
absl::StatusOr<internal::X509Ptr> ParseOnlyCertificate(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kKey = "PRIVATE KEY";
  std::size_t blocks = 0;
  for (std::size_t at = text.find(kBegin); at != std::string_view::npos;
       at = text.find(kBegin, at + 1)) {
    const std::string_view line = text.substr(at, text.find_first_of("\r\n", at) - at);
    if (line.find(kKey) != std::string_view::npos) {
      return BadCertificate("there is a private key in it, which nobody else may see");
    }
    ++blocks;
  }
  if (blocks > 1) return BadCertificate("there is more than one PEM block in it");
  auto certificate = internal::ParseCertificate(text);
  if (!certificate.ok()) return BadCertificate("not a PEM certificate");
  return certificate;
}

absl::Status CheckCertificate(const std::string& pem, WallTime now) {
  SLIPWAY_ASSIGN_OR_RETURN(const internal::X509Ptr certificate, ParseOnlyCertificate(pem));
  X509* x509 = certificate.get();
  EVP_PKEY* key = X509_get0_pubkey(x509);
  if (key == nullptr || !IsUsable(key)) return BadCertificate("its key cannot be used");
  std::time_t at = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  // 0 would be an error: a time that cannot be read.
  if (X509_cmp_time(X509_get0_notBefore(x509), &at) >= 0) {
    return BadCertificate("the certificate is not valid yet");
  }
  if (X509_cmp_time(X509_get0_notAfter(x509), &at) <= 0) {
    return BadCertificate("the certificate has expired");
  }
  return absl::OkStatus();
}

bool AddCertificate(CMS_ContentInfo* cms, const std::string& pem) {
  const auto certificate = internal::ParseCertificate(pem);
  if (!certificate.ok()) return false;
  CMS_RecipientInfo* info = CMS_add1_recipient_cert(cms, certificate->get(), CMS_KEY_PARAM);
  if (info == nullptr) return false;
  EVP_PKEY_CTX* context = CMS_RecipientInfo_get0_pkey_ctx(info);
  // OpenSSL's own choices are PKCS#1 v1.5, and SHA-1 to derive the wrapping key.
  if (EVP_PKEY_get_base_id(X509_get0_pubkey(certificate->get())) == EVP_PKEY_EC) {
    return EVP_PKEY_CTX_set_ecdh_kdf_md(context, EVP_sha256()) > 0;
  }
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) > 0 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) > 0;
}

bool AddPassword(CMS_ContentInfo* cms, const SecretBytes& password) {
  // OpenSSL takes it over, and wipes it in the end.
  auto* copy =
      static_cast<unsigned char*>(OPENSSL_memdup(password.view().data(), password.view().size()));
  if (copy == nullptr) return false;
  // It would wrap the key with the content's cipher, which cannot be GCM.
  if (CMS_add0_recipient_password(cms, kPasswordRounds, -1, -1, copy,
                                  static_cast<ossl_ssize_t>(password.size()),
                                  EVP_aes_256_cbc()) != nullptr) {
    return true;
  }
  return false;
}

}  // namespace

std::string_view PackageCipherName(PackageCipher cipher) {
  for (const auto& [known, name] : kNames) {
    if (known == cipher) return name;
  }
  return "";
}

std::optional<PackageCipher> PackageCipherOf(std::string_view name) {
  for (const auto& [cipher, known] : kNames) {
    if (known == name) return cipher;
  }
  return std::nullopt;
}

bool IsAuthenticated(PackageCipher cipher) { return cipher == PackageCipher::kAes256Gcm; }

absl::Status CheckPackageRecipients(const PackageRecipients& recipients, WallTime now) {
  const auto bad = [](std::string_view why) {
    return MakeError(StatusCode::kInvalidArgument, "BAD_FIELD", std::string(why),
                     "Name 1 to 16 certificates, or a password.");
  };
  if (recipients.certificates.empty() == recipients.password.empty()) {
    return bad("encryption: recipients or a password, one of the two");
  }
  if (recipients.certificates.size() > kMaxPackageRecipients) {
    return bad("recipients: more than 16");
  }
  for (std::size_t i = 0; i < recipients.certificates.size(); ++i) {
    SLIPWAY_RETURN_IF_ERROR(WithContext(CheckCertificate(recipients.certificates[i], now),
                                        fmt::format("recipients[{}]", i)));
  }
  if (recipients.password.empty()) return absl::OkStatus();
  const std::string_view password = recipients.password.view();
  // Nobody could give one to the openssl program.
  if (std::any_of(password.begin(), password.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    return MakeError(StatusCode::kInvalidArgument, "BAD_PASSWORD",
                     "the password has a control character in it",
                     "Choose one of 10 to 1024 bytes without control characters.");
  }
  return CheckNewPassword(password);
}

absl::StatusOr<std::string> OnlyCertificate(std::string_view text) {
  SLIPWAY_ASSIGN_OR_RETURN(const internal::X509Ptr certificate, ParseOnlyCertificate(text));
  return internal::CertificateToPem(certificate.get());
}

std::vector<Sha256Digest> FingerprintsOf(const PackageRecipients& recipients) {
  std::vector<Sha256Digest> fingerprints;
  for (const std::string& pem : recipients.certificates) {
    const auto certificate = internal::ParseCertificate(pem);
    SLIPWAY_CHECK(certificate.ok());
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate->get(), &der);
    SLIPWAY_CHECK(size > 0);
    fingerprints.push_back(
        Sha256Of({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)}));
    OPENSSL_free(der);
  }
  return fingerprints;
}

// Destroyed from the last to the first: the chain uses the structure and writes to the output.
struct PackageSealer::Parts {
  internal::BioOutput output;
  internal::BioPtr end;
  internal::CmsPtr cms;
  // Ends in `end`, which it does not own.
  BIO* chain = nullptr;

  ~Parts() {
    while (chain != nullptr && chain != end.get()) {
      BIO* next = BIO_pop(chain);
      BIO_free(chain);
      chain = next;
    }
  }
  absl::Status Failure() const {
    if (!output.status.ok()) return output.status;
    return StatusFromOpenSsl(StatusCode::kInternal, "cannot encrypt the package");
  }
};

absl::StatusOr<PackageSealer> PackageSealer::Create(PackageCipher cipher,
                                                    const PackageRecipients& recipients,
                                                    PackageSink sink) {
  auto parts = std::make_unique<Parts>();
  parts->output.sink = std::move(sink);
  parts->end = internal::OutputBio(parts->output);
  parts->cms.reset(IsAuthenticated(cipher) ? CMS_AuthEnvelopedData_create(CipherOf(cipher))
                                           : CMS_EnvelopedData_create(CipherOf(cipher)));
  if (parts->cms == nullptr) return parts->Failure();
  for (const std::string& pem : recipients.certificates) {
    if (!AddCertificate(parts->cms.get(), pem)) return parts->Failure();
  }
  if (!recipients.password.empty() && !AddPassword(parts->cms.get(), recipients.password)) {
    return parts->Failure();
  }
  parts->chain = BIO_new_CMS(parts->end.get(), parts->cms.get());
  if (parts->chain == nullptr) return parts->Failure();
  return PackageSealer(std::move(parts));
}

PackageSealer::PackageSealer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
PackageSealer::~PackageSealer() = default;
PackageSealer::PackageSealer(PackageSealer&&) noexcept = default;

absl::Status PackageSealer::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto piece = static_cast<int>(std::min(bytes.size(), kMaxWrite));
    const int n = BIO_write(parts_->chain, bytes.data(), piece);
    if (n <= 0 || !parts_->output.status.ok()) return parts_->Failure();
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status PackageSealer::Finish() {
  if (BIO_flush(parts_->chain) != 1 || !parts_->output.status.ok()) return parts_->Failure();
  return absl::OkStatus();
}

}  // namespace slipway::crypto
