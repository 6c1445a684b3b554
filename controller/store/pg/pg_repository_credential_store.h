#pragma once

#include <optional>
#include <string>

#include "controller/store/pg/database.h"
#include "controller/store/repository_credential_store.h"

namespace slipway::store::pg {

// Repository credentials in PostgreSQL. Thread-safe; `database` must outlive it. Writes need a
// begun term (NOT_LEADER otherwise).
class PgRepositoryCredentialStore final : public RepositoryCredentialStore {
 public:
  explicit PgRepositoryCredentialStore(Database& database) : database_(database) {}

  absl::Status Set(const domain::Application& application,
                   const domain::RepositoryCredential& about, const std::string& sealed,
                   const Cause& cause) override;
  absl::StatusOr<bool> Remove(const domain::Application& application, const Cause& cause) override;
  absl::StatusOr<std::optional<domain::RepositoryCredential>> Find(
      const ApplicationId& application) override;
  absl::StatusOr<std::string> Sealed(const ApplicationId& application) override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
