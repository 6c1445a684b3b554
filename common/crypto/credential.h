#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/crypto/secret.h"

// A platform's publishing credential as it lies in a git repository: a small JSON document sealed
// for the farm (cms.h). The document says for whom it is, so that the file opens nothing when it is
// copied into the repository of another application.
namespace slipway::crypto {

// For whom a credential may be opened. All three must match exactly.
struct CredentialBinding {
  FarmId farm;
  ApplicationId application;
  std::string platform;  // "weixin", "alipay", …
};

struct Credential {
  std::string kind;    // "weixin-upload-key", …: what `secret` is
  std::string app_id;  // the application's id at the platform
  SecretBytes secret;  // UTF-8 text, 1 byte to 64 KiB: a PEM key, a token
};

// kInvalidArgument: an empty or oversized field, a secret that is not UTF-8, a certificate that
// cannot receive.
absl::StatusOr<std::string> SealCredential(const CredentialBinding& binding,
                                           const Credential& credential,
                                           std::string_view farm_certificate_pem);

// The credential, if it was sealed for exactly `expected`. kPermissionDenied (CREDENTIAL_FOREIGN):
// it was sealed for another farm, application or platform; the message names the difference and no
// secret. kInvalidArgument (CREDENTIAL_BROKEN, SEAL_BROKEN): not such a document, or changed.
absl::StatusOr<Credential> OpenCredential(std::string_view sealed_pem,
                                          std::string_view farm_certificate_pem,
                                          std::string_view farm_key_pem,
                                          const CredentialBinding& expected);

}  // namespace slipway::crypto
