#include "controller/packaging/sealed_password.h"

#include "common/crypto/channel_secret.h"

namespace slipway::packaging {
namespace {

// No channel has such a name, so neither secret opens in the other's place.
crypto::ChannelBinding BindingOf(const FarmId& farm, const ApplicationId& application) {
  return {.farm = farm, .channel = "packages of " + application.value(), .url = {}, .user = {}};
}

}  // namespace

absl::StatusOr<std::string> SealPassword(const FarmId& farm, const ApplicationId& application,
                                         std::string_view password,
                                         std::string_view farm_certificate_pem) {
  return crypto::SealChannelSecret(BindingOf(farm, application), password, farm_certificate_pem);
}

absl::StatusOr<crypto::SecretBytes> OpenPassword(const FarmId& farm,
                                                 const ApplicationId& application,
                                                 std::string_view sealed,
                                                 const crypto::KeyAndCertificate& sealing) {
  return crypto::OpenChannelSecret(sealed, sealing.certificate_pem, sealing.key_pem.view(),
                                   BindingOf(farm, application));
}

}  // namespace slipway::packaging
