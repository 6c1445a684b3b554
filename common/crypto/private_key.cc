#include "common/crypto/private_key.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <climits>

#include "common/crypto/openssl_ptr.h"

namespace slipway::crypto {
namespace {

int RefusePassword(char* /*buffer*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

bool HoldsPublicPart(std::string_view pem) {
  for (const std::string_view begin :
       {"-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----"}) {
    if (pem.find(begin) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

PrivateKeyKind ClassifyPrivateKey(std::string_view pem) {
  if (pem.size() > INT_MAX) return PrivateKeyKind::kNone;
  const internal::BioPtr bio = internal::ReadBio(pem);
  bool asked = false;
  const internal::PkeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, RefusePassword, &asked));
  ERR_clear_error();
  if (key != nullptr) {
    return EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_RSA ? PrivateKeyKind::kRsa
                                                           : PrivateKeyKind::kOtherAlgorithm;
  }
  if (asked) return PrivateKeyKind::kEncrypted;
  return HoldsPublicPart(pem) ? PrivateKeyKind::kPublic : PrivateKeyKind::kNone;
}

}  // namespace slipway::crypto
