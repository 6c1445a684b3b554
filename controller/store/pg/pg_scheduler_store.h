#pragma once

#include <vector>

#include "controller/store/pg/database.h"
#include "controller/store/scheduler_store.h"

namespace slipway::store::pg {

// The SchedulerStore in PostgreSQL: a batch is a handful of statements, whatever its size. A row
// that PostgreSQL itself refuses is found by halving the batch and refused alone.
//
// BecomeLeader presumes that a Leadership is held under the name of `database`'s connections.
//
// Thread-safe. `database` must outlive it.
class PgSchedulerStore final : public SchedulerStore {
 public:
  explicit PgSchedulerStore(Database& database) : database_(database) {}

  absl::StatusOr<Epoch> BecomeLeader() override;
  absl::StatusOr<std::vector<absl::Status>> Commit(const std::vector<Change>& changes) override;
  absl::StatusOr<std::vector<absl::Status>> CheckRights(
      const std::vector<Change>& changes) override;
  absl::StatusOr<Unfinished> LoadUnfinished() override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
