#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/crypto/secret.h"

// What the farm proves itself with at a channel's server. It lies in the controller's database as a
// small JSON document sealed for the farm (cms.h) that says for which channel, server and user it
// is: no other server gets it when the channel's address changes.
namespace slipway::crypto {

// For what a secret may be opened. All must match exactly.
struct ChannelBinding {
  FarmId farm;
  std::string channel;  // "platform/name"
  std::string url;
  std::string user;
};

// kInvalidArgument: a certificate that cannot receive, or too much.
[[nodiscard]] absl::StatusOr<std::string> SealChannelSecret(const ChannelBinding& binding,
                                                            std::string_view secret,
                                                            std::string_view farm_certificate_pem);

// kPermissionDenied (CREDENTIAL_FOREIGN, SEAL_FOREIGN_KEY), kInvalidArgument (CREDENTIAL_BROKEN,
// SEAL_BROKEN).
[[nodiscard]] absl::StatusOr<SecretBytes> OpenChannelSecret(std::string_view sealed_pem,
                                                            std::string_view farm_certificate_pem,
                                                            std::string_view farm_key_pem,
                                                            const ChannelBinding& expected);

}  // namespace slipway::crypto
