#pragma once

#include <set>
#include <string>

#include "controller/store/pg/database.h"
#include "controller/store/release_page_store.h"

namespace slipway::store::pg {

// Pages in PostgreSQL. Thread-safe; `database` must outlive it. Writes need a begun term
// (NOT_LEADER otherwise).
class PgReleasePageStore final : public ReleasePageStore {
 public:
  explicit PgReleasePageStore(Database& database) : database_(database) {}

  absl::Status Put(const domain::ReleasePage& page) override;
  absl::StatusOr<domain::ReleasePage> Find(const Sha256Digest& token_hash, WallTime now) override;
  absl::StatusOr<WallTime> Close(const TaskId& task, WallTime now, const Cause& cause) override;
  absl::StatusOr<std::set<std::string>> ForgetExpired(WallTime now) override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
