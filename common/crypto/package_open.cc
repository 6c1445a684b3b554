#include <openssl/cms.h>
#include <openssl/err.h>

#include <utility>

#include "common/crypto/package_cms.h"
#include "common/crypto/package_envelope.h"
#include "common/crypto/pem.h"
#include "common/crypto/sink_bio.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

using absl::StatusCode;

absl::Status WrongKey(std::string_view why) {
  return MakeError(StatusCode::kPermissionDenied, "PACKAGE_KEY", std::string(why));
}

absl::Status GiveKey(CMS_ContentInfo* cms, const PackageFacts& facts, const PackageKey& key) {
  if (!key.password.empty()) {
    if (!facts.for_password) return WrongKey("the package was made for certificates");
    // OpenSSL only reads it, and keeps the pointer no longer than the structure.
    if (CMS_decrypt_set1_password(
            cms, reinterpret_cast<unsigned char*>(const_cast<char*>(key.password.view().data())),
            static_cast<ossl_ssize_t>(key.password.size())) != 1) {
      ERR_clear_error();
      return WrongKey("the password does not fit the package");
    }
    return absl::OkStatus();
  }
  SLIPWAY_ASSIGN_OR_RETURN(const internal::PkeyPtr pkey,
                           internal::ParsePrivateKey(key.private_key.view()));
  if (CMS_decrypt_set1_pkey(cms, pkey.get(), nullptr) != 1) {
    ERR_clear_error();
    return WrongKey("the key is not that of one of the package's recipients");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PackageFacts> ReadPackageFacts(int fd) {
  SLIPWAY_ASSIGN_OR_RETURN(const internal::Envelope envelope, internal::ReadEnvelope(fd));
  return envelope.facts;
}

absl::Status OpenPackage(int fd, const PackageKey& key, const PackageSink& sink) {
  SLIPWAY_ASSIGN_OR_RETURN(const internal::Envelope envelope, internal::ReadEnvelope(fd));
  const auto* position = reinterpret_cast<const unsigned char*>(envelope.der.data());
  const internal::CmsPtr cms(
      d2i_CMS_ContentInfo(nullptr, &position, static_cast<long>(envelope.der.size())));
  if (cms == nullptr) {
    ERR_clear_error();
    return internal::BrokenPackage("its structure is damaged");
  }
  SLIPWAY_RETURN_IF_ERROR(GiveKey(cms.get(), envelope.facts, key));

  internal::ContentReader reader(fd, envelope);
  internal::BioInput input{[&reader](std::span<char> buffer) { return reader.Read(buffer); }};
  internal::BioOutput output{sink};
  const internal::BioPtr from = internal::InputBio(input);
  const internal::BioPtr to = internal::OutputBio(output);
  const bool opened =
      CMS_decrypt(cms.get(), nullptr, nullptr, from.get(), to.get(), CMS_BINARY) == 1;
  ERR_clear_error();
  SLIPWAY_RETURN_IF_ERROR(output.status);
  SLIPWAY_RETURN_IF_ERROR(input.status);
  if (opened) return absl::OkStatus();
  return MakeError(StatusCode::kDataLoss, "PACKAGE_CHANGED",
                   "the package was changed after it was made, or the key is not its recipient's");
}

}  // namespace slipway::crypto
