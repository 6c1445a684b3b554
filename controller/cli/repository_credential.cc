#include "common/crypto/repository_credential.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "common/base/ids.h"
#include "common/crypto/secret.h"
#include "common/fs/files.h"
#include "common/status/status.h"
#include "controller/cli/commands.h"

namespace slipway::cli {
namespace {

using Applications = v1::ApplicationService::Stub;
using crypto::RepositoryCredential;
using crypto::RepositoryCredentialKind;
using crypto::SecretBytes;

// More than any of the files may have; what is too much is said when it is checked.
constexpr std::size_t kMaxFile = 64 * 1024;

absl::StatusOr<SecretBytes> ReadBytes(Session& session, const std::string& path) {
  const fs::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, path);
  SecretBytes bytes(kMaxFile);
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t size,
                           fs::ReadFull(file.get(), {bytes.data(), bytes.size()}, path));
  bytes.Truncate(size);
  struct stat facts {};
  if (fstat(file.get(), &facts) == 0 && S_ISREG(facts.st_mode) && (facts.st_mode & 077) != 0) {
    session.err << fmt::format(
        fmt::runtime(session.text("warning: others on this machine may use {}; chmod 600 {}\n",
                                  "警告：本机其他用户可以访问 {}；请执行 chmod 600 {}\n")),
        path, path);
  }
  return bytes;
}

absl::StatusOr<SecretBytes> ReadPassword(Session& session, const std::string& path) {
  if (path == "-") {
    SLIPWAY_ASSIGN_OR_RETURN(std::string line,
                             session.ReadSecretLine(session.text("the password", "密码")));
    SecretBytes password = SecretBytes::CopyOf(line);
    crypto::Wipe(line.data(), line.size());
    return password;
  }
  SLIPWAY_ASSIGN_OR_RETURN(SecretBytes password, ReadBytes(session, path));
  // As editors leave it.
  std::string_view text = password.view();
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  password.Truncate(text.size());
  return password;
}

// What is no secret; "" for no path.
absl::StatusOr<std::string> ReadText(const std::string& path) {
  if (path.empty()) return "";
  const fs::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, path);
  std::string text(kMaxFile, '\0');
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t size, fs::ReadFull(file.get(), text, path));
  text.resize(size);
  return text;
}

absl::StatusOr<RepositoryCredential> ReadCredential(Session& session,
                                                    const RepositoryCredentialFlags& flags) {
  RepositoryCredential credential;
  if (!flags.ssh_key_file.empty()) {
    credential.kind = RepositoryCredentialKind::kSsh;
    SLIPWAY_ASSIGN_OR_RETURN(credential.secret, ReadBytes(session, flags.ssh_key_file));
    SLIPWAY_ASSIGN_OR_RETURN(credential.known_hosts, ReadText(flags.known_hosts_file));
    return credential;
  }
  credential.username = flags.https_user;
  SLIPWAY_ASSIGN_OR_RETURN(credential.ca_certificates, ReadText(flags.ca_file));
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
