#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/crypto/secret.h"

// What a private repository is read with. It lies in the controller's database as a small JSON
// document sealed for the farm (cms.h) that says for which application and server it is and that it
// is for a repository: sealed for another application, or for publishing, it opens nothing here,
// and no other server gets it when the application's repository moves.
namespace slipway::crypto {

enum class RepositoryCredentialKind {
  kHttps = 1,  // user name and password or token
  kSsh = 2,    // private key
};

// "https", "ssh".
[[nodiscard]] std::string_view RepositoryCredentialKindName(RepositoryCredentialKind kind);

// For what a credential may be opened. All must match exactly.
struct RepositoryBinding {
  FarmId farm;
  ApplicationId application;
  std::string origin;  // of the repository's URL: "https://host:port", "ssh://git@host"
};

struct RepositoryCredential {
  RepositoryCredentialKind kind = RepositoryCredentialKind::kHttps;
  // kHttps only: 1 to 256 bytes without control characters. Over SSH the URL names the user.
  std::string username;
  // kHttps: a password or token of 1 byte to 4 KiB without control characters. kSsh: a private key
  // that ReadSshKey (ssh_key.h) takes.
  SecretBytes secret;
  // kSsh only: lines as in a known_hosts file, at most 16 KiB; empty: the server's key is trusted
  // when it is first seen.
  std::string known_hosts;
  // kHttps only: PEM certificates, at most 32 KiB, of which the server's has to come; empty: of
  // those that the machine trusts.
  std::string ca_certificates{};

  [[nodiscard]] RepositoryCredential Clone() const;
};

// kInvalidArgument, reason BAD_REPOSITORY_CREDENTIAL or BAD_SSH_KEY, names what is wrong and no
// secret.
[[nodiscard]] absl::Status CheckRepositoryCredential(const RepositoryCredential& credential);

// kInvalidArgument: as CheckRepositoryCredential, or a certificate that cannot receive.
[[nodiscard]] absl::StatusOr<std::string> SealRepositoryCredential(
    const RepositoryBinding& binding, const RepositoryCredential& credential,
    std::string_view farm_certificate_pem);

// The credential, checked, if it was sealed for exactly `expected`.
// kPermissionDenied (CREDENTIAL_FOREIGN): it is for another one, or for publishing; the message
// names the difference and no secret. kInvalidArgument (CREDENTIAL_BROKEN, SEAL_BROKEN): not such a
// document, or changed.
[[nodiscard]] absl::StatusOr<RepositoryCredential> OpenRepositoryCredential(
    std::string_view sealed_pem, std::string_view farm_certificate_pem,
    std::string_view farm_key_pem, const RepositoryBinding& expected);

}  // namespace slipway::crypto
