#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controller/store/pg/database.h"
#include "controller/store/target_store.h"

namespace slipway::store::pg {

// Targets and environments in PostgreSQL; texts as in pg_catalog_stores.h. Thread-safe; `database`
// must outlive it. Writes need a begun term (NOT_LEADER otherwise).
class PgTargetStore final : public TargetStore {
 public:
  explicit PgTargetStore(Database& database) : database_(database) {}

  absl::StatusOr<domain::Target> CreateTarget(const domain::Target& target,
                                              const Cause& cause) override;
  absl::StatusOr<domain::Target> UpdateTarget(const domain::Target& target,
                                              std::optional<std::int64_t> revision,
                                              const Cause& cause) override;
  absl::StatusOr<domain::Target> SetTargetSecret(const std::string& platform,
                                                 const std::string& name, const std::string& sealed,
                                                 std::optional<std::int64_t> revision,
                                                 const Cause& cause) override;
  absl::StatusOr<std::string> SealedTargetSecret(const std::string& platform,
                                                 const std::string& name) override;
  absl::Status DeleteTarget(const std::string& platform, const std::string& name,
                            std::optional<std::int64_t> revision, const Cause& cause) override;
  absl::StatusOr<std::shared_ptr<const domain::Targets>> GetTargets() override;

  absl::StatusOr<domain::Environment> CreateEnvironment(const domain::Environment& environment,
                                                        const Cause& cause) override;
  absl::StatusOr<domain::Environment> UpdateEnvironment(const domain::Environment& environment,
                                                        std::optional<std::int64_t> revision,
                                                        const Cause& cause) override;
  absl::Status DeleteEnvironment(const std::string& name, std::optional<std::int64_t> revision,
                                 const Cause& cause) override;
  absl::StatusOr<std::vector<domain::Environment>> ListEnvironments() override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
