#include "common/crypto/credential.h"

#include <fmt/format.h>

#include "common/crypto/sealed_fields.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

using absl::StatusCode;

constexpr std::size_t kMaxField = 256;
constexpr std::size_t kMaxSecret = 64 * 1024;
constexpr char kAgain[] = "slipway credentials seal";

absl::Status Broken(std::string_view why) { return BrokenCredential(why, kAgain); }

absl::Status CheckField(std::string_view name, std::string_view value) {
  if (!value.empty() && value.size() <= kMaxField) return absl::OkStatus();
  return Broken(fmt::format("\"{}\" must have 1 to {} bytes", name, kMaxField));
}

absl::Status CheckSecret(std::string_view secret) {
  if (!secret.empty() && secret.size() <= kMaxSecret) return absl::OkStatus();
  return Broken(fmt::format("its secret must have 1 to {} bytes", kMaxSecret));
}

absl::Status CheckBinding(const SealedFields& document, const CredentialBinding& expected) {
  if (document.Has("purpose")) {
    return MakeError(StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN",
                     "the credential was sealed for another purpose than publishing",
                     "Seal the platform's key with `slipway credentials seal` and commit it.");
  }
  const std::string_view farm = expected.farm.value();
  const std::string_view application = expected.application.value();
  SLIPWAY_ASSIGN_OR_RETURN(
      const std::string_view name,
      document.FirstDifference(
          {{"farm", farm}, {"application", application}, {"platform", expected.platform}}));
  if (name.empty()) return absl::OkStatus();
  return MakeError(
      StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN",
      fmt::format("the credential was sealed for another {}; it is wanted for {} \"{}\"", name,
                  name,
                  name == "farm"          ? farm
                  : name == "application" ? application
                                          : std::string_view(expected.platform)),
      fmt::format("Seal this application's own credential for platform \"{}\" with `slipway "
                  "credentials seal` and commit it.",
                  expected.platform));
}

}  // namespace

absl::StatusOr<std::string> SealCredential(const CredentialBinding& binding,
                                           const Credential& credential,
                                           std::string_view farm_certificate_pem) {
  SLIPWAY_RETURN_IF_ERROR(CheckField("farm", binding.farm.value()));
  SLIPWAY_RETURN_IF_ERROR(CheckField("application", binding.application.value()));
  SLIPWAY_RETURN_IF_ERROR(CheckField("platform", binding.platform));
  SLIPWAY_RETURN_IF_ERROR(CheckField("kind", credential.kind));
  SLIPWAY_RETURN_IF_ERROR(CheckField("appId", credential.app_id));
  SLIPWAY_RETURN_IF_ERROR(CheckSecret(credential.secret.view()));

  SealedFields document(kAgain);
  document.Add("farm", binding.farm.value());
  document.Add("application", binding.application.value());
  document.Add("platform", binding.platform);
  document.Add("kind", credential.kind);
  document.Add("appId", credential.app_id);
  document.Add("secret", credential.secret.view());
  return document.SealFor(farm_certificate_pem);
}

absl::StatusOr<Credential> OpenCredential(std::string_view sealed_pem,
                                          std::string_view farm_certificate_pem,
                                          std::string_view farm_key_pem,
                                          const CredentialBinding& expected) {
  SealedFields document(kAgain);
  SLIPWAY_RETURN_IF_ERROR(document.OpenFrom(sealed_pem, farm_certificate_pem, farm_key_pem));
  SLIPWAY_RETURN_IF_ERROR(CheckBinding(document, expected));
  SLIPWAY_ASSIGN_OR_RETURN(const auto fields, document.GetAll({"kind", "appId", "secret"}));
  const auto& [kind, app_id, secret] = fields;
  SLIPWAY_RETURN_IF_ERROR(CheckField("kind", kind));
  SLIPWAY_RETURN_IF_ERROR(CheckField("appId", app_id));
  SLIPWAY_RETURN_IF_ERROR(CheckSecret(secret));
  Credential credential;
  credential.kind = kind;
  credential.app_id = app_id;
  credential.secret = SecretBytes::CopyOf(secret);
  return credential;
}

}  // namespace slipway::crypto
