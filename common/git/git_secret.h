#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/crypto/repository_credential.h"
#include "common/fs/unique_fd.h"
#include "common/git/repository_url.h"

// How git gets a secret: through a file that exists in memory only and that git and what it starts
// inherit open. It is in no argument, no environment and no directory, and ends with them. Private
// to this library.
namespace slipway::git {

// What one call of git is given to authenticate with. Confined to one thread.
class GitSecret {
 public:
  // By the credential, or else what the URL itself holds. `known_hosts_file`: where the keys of SSH
  // servers are kept that are trusted when they are first seen. kPermissionDenied,
  // REPOSITORY_ACCESS_DENIED: the credential is not for URLs of this kind.
  [[nodiscard]] static absl::StatusOr<GitSecret> Make(
      const RepositoryUrl& url, const crypto::RepositoryCredential* credential,
      const std::string& known_hosts_file);

  // A configuration value that gives the password to the URL's server; empty: none is needed.
  [[nodiscard]] const std::string& credential_helper() const { return helper_; }
  // A file with the only authorities that servers' certificates may come from; empty: as the
  // environment says.
  [[nodiscard]] const std::string& ca_file() const { return ca_file_; }
  // What git is to run as ssh; empty: as the environment says.
  [[nodiscard]] const std::string& ssh_command() const { return ssh_command_; }
  // To be left open for git, under the same numbers.
  [[nodiscard]] std::vector<int> files() const;

 private:
  [[nodiscard]] absl::StatusOr<int> Hold(std::string_view bytes);

  std::vector<fs::UniqueFd> files_;
  std::string helper_;
  std::string ca_file_;
  std::string ssh_command_;
};

}  // namespace slipway::git
