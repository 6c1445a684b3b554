#include "controller/api/package_convert.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/crypto/password.h"
#include "common/status/status.h"
#include "controller/api/fields.h"
#include "controller/packaging/sealed_password.h"

namespace slipway::api {
namespace {

constexpr std::size_t kShortestPagePassword = 6;
constexpr std::size_t kLongestPagePassword = 128;

absl::Status Unknown(const char* text, const char* remedy) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FIELD", text, remedy);
}

absl::StatusOr<archive::Format> FormOf(v1::PackageForm form) {
  switch (form) {
    case v1::PACKAGE_FORM_UNSPECIFIED:
    case v1::PACKAGE_FORM_ZIP: return archive::Format::kZip;
    case v1::PACKAGE_FORM_TAR_GZ: return archive::Format::kTarGz;
    default: return Unknown("form: unknown", "Ask for zip or tar.gz.");
  }
}

absl::StatusOr<crypto::PackageCipher> CipherOf(v1::PackageCipher cipher) {
  switch (cipher) {
    case v1::PACKAGE_CIPHER_UNSPECIFIED:
    case v1::PACKAGE_CIPHER_AES_256_GCM: return crypto::PackageCipher::kAes256Gcm;
    case v1::PACKAGE_CIPHER_AES_256_CBC: return crypto::PackageCipher::kAes256Cbc;
    case v1::PACKAGE_CIPHER_SM4_CBC: return crypto::PackageCipher::kSm4Cbc;
    default:
      return Unknown("encryption.cipher: unknown", "Ask for aes-256-gcm, aes-256-cbc or sm4-cbc.");
  }
}

}  // namespace

v1::PackageCipher ToProto(crypto::PackageCipher cipher) {
  switch (cipher) {
    case crypto::PackageCipher::kAes256Cbc: return v1::PACKAGE_CIPHER_AES_256_CBC;
    case crypto::PackageCipher::kSm4Cbc: return v1::PACKAGE_CIPHER_SM4_CBC;
    default: return v1::PACKAGE_CIPHER_AES_256_GCM;
  }
}

crypto::SecretBytes TakePassword(v1::PackageEncryption& encryption) {
  std::string& text = *encryption.mutable_password();
  crypto::SecretBytes password = crypto::SecretBytes::CopyOf(text);
  crypto::Wipe(text.data(), text.size());
  text.clear();
  return password;
}

ForgettingPasswords::~ForgettingPasswords() {
  if (!packaging_.page_password().empty()) {
    std::string& word = *packaging_.mutable_page_password();
    crypto::Wipe(word.data(), word.size());
  }
  if (packaging_.has_encryption()) (void)TakePassword(*packaging_.mutable_encryption());
}

absl::StatusOr<packaging::PackageOrder> OrderFrom(v1::PackageForm form,
                                                  const v1::PackageEncryption* encryption,
                                                  crypto::SecretBytes password, WallTime now) {
  packaging::PackageOrder order;
  SLIPWAY_ASSIGN_OR_RETURN(order.form, FormOf(form));
  if (encryption == nullptr) return order;
  order.recipients.password = std::move(password);
  SLIPWAY_ASSIGN_OR_RETURN(order.cipher, CipherOf(encryption->cipher()));
  for (const std::string& pem : encryption->recipients()) {
    order.recipients.certificates.push_back(pem);
  }
  SLIPWAY_RETURN_IF_ERROR(crypto::CheckPackageRecipients(order.recipients, now));
  return order;
}

absl::StatusOr<domain::Packaging> PackagingFrom(const v1::Packaging& packaging,
                                                const domain::Run& run, const FarmId& farm,
                                                const std::string& farm_certificate, WallTime now) {
  domain::Packaging out;
  const v1::PackageEncryption* const encryption =
      packaging.has_encryption() ? &packaging.encryption() : nullptr;
  SLIPWAY_ASSIGN_OR_RETURN(
      const packaging::PackageOrder order,
      OrderFrom(packaging.form(), encryption,
                crypto::SecretBytes::CopyOf(packaging.encryption().password()), now));
  if (order.form == archive::Format::kTarGz) out.form = "tar.gz";
  if (order.cipher) out.cipher = crypto::PackageCipherName(*order.cipher);
  for (const std::string& text : order.recipients.certificates) {
    // Whatever stands around it stays out of the database.
    SLIPWAY_ASSIGN_OR_RETURN(out.recipients.emplace_back(), crypto::OnlyCertificate(text));
  }
  if (!order.recipients.password.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(
        out.sealed_password,
        packaging::SealPassword(farm, run.application, order.recipients.password.view(),
                                farm_certificate));
  }
  const std::string& word = packaging.page_password();
  if (word.empty()) return out;
  SLIPWAY_RETURN_IF_ERROR(CheckText("packaging.page_password", word, kLongestPagePassword));
  if (word.size() < kShortestPagePassword) {
    return BadField("packaging.page_password", "has less than 6 bytes");
  }
  out.page_password_hash = crypto::HashPassword(word);
  return out;
}

}  // namespace slipway::api
