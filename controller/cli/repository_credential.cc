#include "common/crypto/repository_credential.h"

#include <sys/prctl.h>

#include "common/base/ids.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"
#include "controller/cli/secret_files.h"

namespace slipway::cli {
namespace {

using Applications = v1::ApplicationService::Stub;
using crypto::RepositoryCredential;
using crypto::RepositoryCredentialKind;

absl::StatusOr<RepositoryCredential> ReadCredential(Session& session,
                                                    const RepositoryCredentialFlags& flags) {
  RepositoryCredential credential;
  if (!flags.ssh_key_file.empty()) {
    credential.kind = RepositoryCredentialKind::kSsh;
    SLIPWAY_ASSIGN_OR_RETURN(credential.secret, ReadSecretFile(session, flags.ssh_key_file));
    SLIPWAY_ASSIGN_OR_RETURN(credential.known_hosts, ReadSmallText(flags.known_hosts_file));
    return credential;
  }
  credential.username = flags.https_user;
  SLIPWAY_ASSIGN_OR_RETURN(credential.ca_certificates, ReadSmallText(flags.ca_file));
  SLIPWAY_ASSIGN_OR_RETURN(credential.secret, ReadPassword(session, flags.password_file));
  return credential;
}

}  // namespace

Outcome SetRepositoryCredential(Session& session, const RepositoryCredentialFlags& flags) {
  const Text t = session.text;
  prctl(PR_SET_DUMPABLE, 0);
  const int ways = (flags.none ? 1 : 0) + (flags.https_user.empty() ? 0 : 1) +
                   (flags.ssh_key_file.empty() ? 0 : 1);
  const bool https = !flags.https_user.empty();
  if (ways != 1 || https == flags.password_file.empty() ||
      (flags.ssh_key_file.empty() && !flags.known_hosts_file.empty()) ||
      (!https && !flags.ca_file.empty())) {
    return UsageError(
        MakeError(absl::StatusCode::kInvalidArgument, "BAD_FLAGS",
                  t("one of --https-user with --password-file, --ssh-key-file and --none",
                    "--https-user 与 --password-file、--ssh-key-file、--none 三者选一"),
                  t("--known-hosts goes with --ssh-key-file, --ca-file with --https-user.",
                    "--known-hosts 与 --ssh-key-file 同用，--ca-file 与 --https-user 同用。")));
  }
  v1::SetRepositoryCredentialRequest request;
  request.set_name(flags.application);
  RepositoryCredential credential;
  if (!flags.none) {
    SLIPWAY_ASSIGN_OR_RETURN(credential, ReadCredential(session, flags));
    // Before anything is asked of the controller.
    SLIPWAY_RETURN_IF_ERROR(crypto::CheckRepositoryCredential(credential));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Client* client, session.Controller());
  v1::Application application;
  if (!flags.none) {
    v1::GetApplicationRequest get;
    get.set_name(flags.application);
    SLIPWAY_RETURN_IF_ERROR(
        client->Call(client->applications(), &Applications::GetApplication, get, application));
    v1::Farm farm;
    SLIPWAY_RETURN_IF_ERROR(
        client->Call(client->applications(), &Applications::GetFarm, v1::GetFarmRequest(), farm));
    SLIPWAY_ASSIGN_OR_RETURN(
        *request.mutable_sealed(),
        crypto::SealRepositoryCredential(
            {FarmId(farm.id()), ApplicationId(application.id()), application.repository_origin()},
            credential, farm.sealing_certificate()));
  }
  SLIPWAY_RETURN_IF_ERROR(client->Call(
      client->applications(), &Applications::SetRepositoryCredential, request, application));
  session.Print(application, RenderApplication);
  return ExitCode::kOk;
}

}  // namespace slipway::cli
