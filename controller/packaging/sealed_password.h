#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/crypto/pki.h"
#include "common/crypto/secret.h"

// The password of a run's packages, from its submit until they are made: sealed for the farm and
// that application. Pure functions.
namespace slipway::packaging {

[[nodiscard]] absl::StatusOr<std::string> SealPassword(const FarmId& farm,
                                                       const ApplicationId& application,
                                                       std::string_view password,
                                                       std::string_view farm_certificate_pem);

// kPermissionDenied (CREDENTIAL_FOREIGN, SEAL_FOREIGN_KEY), kInvalidArgument (CREDENTIAL_BROKEN,
// SEAL_BROKEN).
[[nodiscard]] absl::StatusOr<crypto::SecretBytes> OpenPassword(
    const FarmId& farm, const ApplicationId& application, std::string_view sealed,
    const crypto::KeyAndCertificate& sealing);

}  // namespace slipway::packaging
