#pragma once

#include "controller/store/packaging_store.h"
#include "controller/store/pg/database.h"

namespace slipway::store::pg {

// Packagings in PostgreSQL. Thread-safe; `database` must outlive it. Forget needs a begun term
// (NOT_LEADER otherwise).
class PgPackagingStore final : public PackagingStore {
 public:
  explicit PgPackagingStore(Database& database) : database_(database) {}

  absl::StatusOr<Packagings> Find(const WantedBuild& wanted, WallTime since,
                                  int more_than) override;
  absl::Status Forget(WallTime before) override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
