#include "controller/credentials/repository_credentials.h"

#include <fmt/format.h>

#include <utility>

#include "common/crypto/hash.h"
#include "common/crypto/ssh_key.h"
#include "common/git/repository_url.h"
#include "common/status/status.h"

namespace slipway::credentials {
namespace {

using crypto::RepositoryCredentialKind;

absl::StatusOr<git::RepositoryUrl> Parsed(const std::string& url) {
  return git::ParseRepositoryUrl(url, {"https", "http", "ssh", "git", "file"});
}

absl::StatusOr<git::RepositoryUrl> UrlOf(const domain::Application& application) {
  return Parsed(application.repository);
}

absl::Status CheckKind(const git::RepositoryUrl& url, RepositoryCredentialKind kind) {
  const bool ssh = kind == RepositoryCredentialKind::kSsh;
  const bool fits = ssh ? url.scheme == "ssh" : url.scheme == "https" || url.scheme == "http";
  if (fits) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kInvalidArgument, "WRONG_CREDENTIAL_KIND",
      fmt::format("{} does not open a repository over {}: {}",
                  ssh ? "an SSH key" : "a user name with password", url.scheme, url.clean),
      url.scheme == "ssh"     ? "Give --ssh-key-file with a private key."
      : url.scheme == "https" ? "Give --https-user and --password-file."
                              : "Only repositories over https and ssh take a credential.");
}

}  // namespace

std::string RepositoryCredentials::OriginOf(const domain::Application& application) {
  const absl::StatusOr<git::RepositoryUrl> url = UrlOf(application);
  return url.ok() ? url->Origin() : "";
}

absl::StatusOr<crypto::RepositoryCredential> RepositoryCredentials::OpenSealed(
    const domain::Application& application, const std::string& sealed) const {
  SLIPWAY_ASSIGN_OR_RETURN(const git::RepositoryUrl url, UrlOf(application));
  SLIPWAY_ASSIGN_OR_RETURN(
      crypto::RepositoryCredential credential,
      crypto::OpenRepositoryCredential(sealed, sealing_.certificate_pem, sealing_.key_pem.view(),
                                       {farm_, application.id, url.Origin()}));
  SLIPWAY_RETURN_IF_ERROR(CheckKind(url, credential.kind));
  return credential;
}

absl::StatusOr<domain::RepositoryCredential> RepositoryCredentials::Examine(
    const domain::Application& application, const std::string& sealed) const {
  SLIPWAY_ASSIGN_OR_RETURN(const crypto::RepositoryCredential credential,
                           OpenSealed(application, sealed));
  domain::RepositoryCredential about;
  about.digest = crypto::Sha256Of(sealed).Hex();
  if (credential.kind == RepositoryCredentialKind::kHttps) {
    about.username = credential.username;
    about.pinned_hosts = !credential.ca_certificates.empty();
    return about;
  }
  SLIPWAY_ASSIGN_OR_RETURN(const crypto::SshKey key, crypto::ReadSshKey(credential.secret.view()));
  about.access = domain::RepositoryAccess::kSsh;
  about.fingerprint = key.fingerprint;
  about.pinned_hosts = !credential.known_hosts.empty();
  return about;
}

absl::StatusOr<crypto::RepositoryCredential> RepositoryCredentials::Open(
    const domain::Application& application, const std::string& url) const {
  const absl::StatusOr<git::RepositoryUrl> asked = Parsed(url);
  if (!asked.ok() || asked->Origin() != OriginOf(application)) {
    return MakeError(absl::StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN",
                     fmt::format("the repository of application '{}' is not at the server that was "
                                 "to be asked; its credential is not for that one",
                                 application.name),
                     "The repository has moved: submit again.");
  }
  SLIPWAY_ASSIGN_OR_RETURN(const std::string sealed, store_.Sealed(application.id));
  return OpenSealed(application, sealed);
}

RepositoryCredentials::Opener RepositoryCredentials::OpenerFor(
    store::ApplicationStore& applications) const {
  return [this, &applications](
             const std::string& id,
             const std::string& url) -> absl::StatusOr<crypto::RepositoryCredential> {
    SLIPWAY_ASSIGN_OR_RETURN(const auto application, applications.Get(ApplicationId(id)));
    return Open(application, url);
  };
}

}  // namespace slipway::credentials
