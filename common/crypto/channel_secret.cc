#include "common/crypto/channel_secret.h"

#include <fmt/format.h>

#include "common/crypto/sealed_fields.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

constexpr char kPurpose[] = "slipway channel secret";
constexpr char kAgain[] = "slipway targets secret PLATFORM/NAME";

}  // namespace

absl::StatusOr<std::string> SealChannelSecret(const ChannelBinding& binding,
                                              std::string_view secret,
                                              std::string_view farm_certificate_pem) {
  SealedFields document(kAgain);
  document.Add("purpose", kPurpose);
  document.Add("farm", binding.farm.value());
  document.Add("channel", binding.channel);
  document.Add("url", binding.url);
  document.Add("user", binding.user);
  document.Add("secret", secret);
  return document.SealFor(farm_certificate_pem);
}

absl::StatusOr<SecretBytes> OpenChannelSecret(std::string_view sealed_pem,
                                              std::string_view farm_certificate_pem,
                                              std::string_view farm_key_pem,
                                              const ChannelBinding& expected) {
  SealedFields document(kAgain);
  SLIPWAY_RETURN_IF_ERROR(document.OpenFrom(sealed_pem, farm_certificate_pem, farm_key_pem));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string_view name,
                           document.FirstDifference({{"purpose", kPurpose},
                                                     {"farm", expected.farm.value()},
                                                     {"channel", expected.channel},
                                                     {"url", expected.url},
                                                     {"user", expected.user}}));
  if (!name.empty()) {
    return MakeError(absl::StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN",
                     fmt::format("the secret was set for another {}", name),
                     fmt::format("Set it again with `{}`.", kAgain));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const std::string_view secret, document.Get("secret"));
  return SecretBytes::CopyOf(secret);
}

}  // namespace slipway::crypto
