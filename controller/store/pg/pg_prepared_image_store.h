#pragma once

#include "controller/store/pg/database.h"
#include "controller/store/prepared_image_store.h"

namespace slipway::store::pg {

// Shared images in PostgreSQL. Thread-safe; `database` must outlive it. Put needs a begun term
// (NOT_LEADER otherwise).
class PgPreparedImageStore final : public PreparedImageStore {
 public:
  explicit PgPreparedImageStore(Database& database) : database_(database) {}

  absl::StatusOr<std::optional<Sha256Digest>> Find(const ApplicationId& application,
                                                   const std::string& name) override;
  absl::StatusOr<bool> Holds(const ApplicationId& application,
                             const Sha256Digest& manifest) override;
  absl::Status Put(const ApplicationId& application, const std::string& name,
                   const Sha256Digest& manifest, const AgentId& by, WallTime now) override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
