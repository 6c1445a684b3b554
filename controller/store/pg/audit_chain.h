#pragma once

#include <span>
#include <vector>

#include "controller/domain/audit.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {

// Appends to the audit trail, each entry chained to the one before by its hash: the SHA-256 of the
// hash before (64 hex digits, "" for the first), a line feed, and the entry. All get the time at
// which the database let this transaction have the end of the chain. Concurrent appenders wait for
// each other until the end of their transactions, so this is a transaction's last statement but for
// its commit. Throws.
void AppendAudit(Transaction& transaction, const std::vector<domain::AuditEntry>& entries);

// The same in two steps, for whoever has something to do in the first one's round trip: this reads
// the end of the chain and holds it, and AppendAudit takes its result.
Call HoldAuditEnd();
void AppendAudit(Transaction& transaction, const pqxx::result& end,
                 const std::vector<domain::AuditEntry>& entries);

}  // namespace slipway::store::pg
