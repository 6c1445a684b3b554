#pragma once

#include <string>
#include <vector>

#include "controller/store/pg/session.h"

namespace slipway::store::pg {

// Appends to the audit trail, each entry chained to the one before by its hash: the SHA-256 of the
// hash before (64 hex digits, "" for the first), a line feed, and the entry. Concurrent appenders
// are serialized by the sequence's primary key: the later one fails. Throws.
void AppendAudit(Transaction& transaction, const std::vector<std::string>& entries);

}  // namespace slipway::store::pg
