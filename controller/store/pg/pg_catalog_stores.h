#pragma once

#include <string>
#include <vector>

#include "controller/store/catalog_store.h"
#include "controller/store/pg/database.h"

// The catalog stores in PostgreSQL. A text that it cannot hold (a NUL byte, no UTF-8) is
// kInvalidArgument when written and kNotFound when looked for. All are thread-safe; `database` must
// outlive them. Writes need a begun term (NOT_LEADER otherwise).
namespace slipway::store::pg {

class PgApplicationStore final : public ApplicationStore {
 public:
  explicit PgApplicationStore(Database& database) : database_(database) {}

  absl::StatusOr<domain::Application> Create(const domain::Application& application,
                                             const Cause& cause) override;
  absl::StatusOr<domain::Application> Update(const std::string& name,
                                             const ApplicationChange& change,
                                             const Cause& cause) override;
  absl::StatusOr<domain::Application> GetByName(const std::string& name) override;
  absl::StatusOr<domain::Application> Get(const ApplicationId& id) override;
  absl::StatusOr<ApplicationPage> List(const ApplicationFilter& filter) override;

 private:
  Database& database_;
};

class PgFarmStore final : public FarmStore {
 public:
  explicit PgFarmStore(Database& database) : database_(database) {}

  absl::StatusOr<FarmId> GetOrCreateFarmId() override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
