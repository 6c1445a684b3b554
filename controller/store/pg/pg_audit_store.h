#pragma once

#include "controller/store/audit_store.h"
#include "controller/store/pg/database.h"

namespace slipway::store::pg {

// The audit trail in PostgreSQL. `database` must outlive it. Thread-safe. Append needs a begun term
// (NOT_LEADER otherwise); nothing that is read keeps a transaction open for longer than a page.
class PgAuditStore final : public AuditStore {
 public:
  explicit PgAuditStore(Database& database) : database_(database) {}

  absl::Status Append(const std::vector<domain::AuditEntry>& entries) override;
  absl::StatusOr<AuditPage> List(const AuditFilter& filter) override;
  absl::StatusOr<AuditStretch> ReadAfter(std::int64_t sequence, int limit) override;
  absl::StatusOr<std::int64_t> LastBefore(WallTime time) override;

 private:
  Database& database_;
};

}  // namespace slipway::store::pg
