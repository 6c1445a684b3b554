#pragma once

#include <span>
#include <string>
#include <vector>

#include "controller/store/pg/session.h"

namespace slipway::store::pg {

// Appends to the audit trail, each entry chained to the one before by its hash: the SHA-256 of the
// hash before (64 hex digits, "" for the first), a line feed, and the entry. Concurrent appenders
// wait for each other until the end of their transactions, so this is a transaction's last
// statement but for its commit. Throws.
void AppendAudit(Transaction& transaction, const std::vector<std::string>& entries);

// The same in two steps, for whoever has something to do in the first one's round trip: these read
// the end of the chain and hold it, and AppendAudit takes the results of both.
std::vector<Call> HoldAuditEnd();
void AppendAudit(Transaction& transaction, std::span<const pqxx::result> end,
                 const std::vector<std::string>& entries);

}  // namespace slipway::store::pg
