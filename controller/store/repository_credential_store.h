#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/domain/application.h"
#include "controller/domain/repository_credential.h"
#include "controller/store/cause.h"

namespace slipway::store {

// Credentials of repositories, at most one per application, sealed for the farm; what is stored
// opens nothing without the farm's key. Every change is audited with it, by the digests of the
// sealed documents, and refused inside its transaction when one of cause.authorities does not hold
// there. Thread-safe.
class RepositoryCredentialStore {
 public:
  virtual ~RepositoryCredentialStore() = default;
  // Replaces an older one. kNotFound: there is no such application.
  [[nodiscard]] virtual absl::Status Set(const domain::Application& application,
                                         const domain::RepositoryCredential& about,
                                         const std::string& sealed, const Cause& cause) = 0;
  // Whether there was one.
  [[nodiscard]] virtual absl::StatusOr<bool> Remove(const domain::Application& application,
                                                    const Cause& cause) = 0;
  // nullopt: the application has none.
  [[nodiscard]] virtual absl::StatusOr<std::optional<domain::RepositoryCredential>> Find(
      const ApplicationId& application) = 0;
  // The sealed document. kNotFound, reason NO_REPOSITORY_CREDENTIAL.
  [[nodiscard]] virtual absl::StatusOr<std::string> Sealed(const ApplicationId& application) = 0;
};

}  // namespace slipway::store
