#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/crypto/pki.h"
#include "common/crypto/repository_credential.h"
#include "controller/domain/application.h"
#include "controller/domain/repository_credential.h"
#include "controller/store/catalog_store.h"
#include "controller/store/repository_credential_store.h"

namespace slipway::credentials {

// Opens what private repositories are read with. Opened ones live in wiped memory, for as long as
// the caller keeps them, and are in no message of an error. Thread-safe.
class RepositoryCredentials {
 public:
  // Both references must outlive this.
  RepositoryCredentials(store::RepositoryCredentialStore& store, FarmId farm,
                        const crypto::KeyAndCertificate& sealing)
      : store_(store), farm_(std::move(farm)), sealing_(sealing) {}

  // Opens `sealed` once to see that it is for this application and could be used for its
  // repository; what may be told of it, without set_at and set_by. kPermissionDenied
  // (CREDENTIAL_FOREIGN, SEAL_FOREIGN_KEY), kInvalidArgument (CREDENTIAL_BROKEN, SEAL_BROKEN,
  // BAD_REPOSITORY_CREDENTIAL, BAD_SSH_KEY, WRONG_CREDENTIAL_KIND).
  [[nodiscard]] absl::StatusOr<domain::RepositoryCredential> Examine(
      const domain::Application& application, const std::string& sealed) const;

  // The application's credential, for the one who is about to fetch `url`. kNotFound, reason
  // NO_REPOSITORY_CREDENTIAL: it has none; kPermissionDenied, reason CREDENTIAL_FOREIGN: its
  // repository is not (any more) at the server of `url`; otherwise as Examine.
  [[nodiscard]] absl::StatusOr<crypto::RepositoryCredential> Open(
      const domain::Application& application, const std::string& url) const;

  // Open() by the application's id, for who knows no more; this and `applications` must outlive it.
  using Opener = std::function<absl::StatusOr<crypto::RepositoryCredential>(
      const std::string& id, const std::string& url)>;
  [[nodiscard]] Opener OpenerFor(store::ApplicationStore& applications) const;

  // What a credential for the application's repository is bound to; empty: nothing can be.
  [[nodiscard]] static std::string OriginOf(const domain::Application& application);

  [[nodiscard]] store::RepositoryCredentialStore& store() const { return store_; }

 private:
  [[nodiscard]] absl::StatusOr<crypto::RepositoryCredential> OpenSealed(
      const domain::Application& application, const std::string& sealed) const;

  store::RepositoryCredentialStore& store_;
  const FarmId farm_;
  const crypto::KeyAndCertificate& sealing_;
};

}  // namespace slipway::credentials
