#pragma once

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "controller/domain/authority.h"
#include "controller/store/changes.h"
#include "controller/store/pg/database.h"
#include "controller/store/pg/session.h"

// Whether people may still do what they asked for, by the rows of the transaction that does it.
// Private to this library.
namespace slipway::store::pg {

// For each of them ok, or kPermissionDenied or kNotFound with the verdict's reason. Nothing asked,
// nothing read. Throws.
std::vector<absl::Status> CheckAuthorities(Transaction& transaction,
                                           const std::vector<domain::Authority>& authorities);

// Whether all that the cause rests on holds. A refusal is entered into the audit trail as one of
// the attempt that `entry` tells of. Throws.
absl::Status CheckCause(Database& database, Transaction& transaction, const Cause& cause,
                        const domain::AuditEntry& entry);
// Of each change, whether those who asked for it still may. What many rest on is asked once.
// Throws.
std::vector<absl::Status> RightsOf(const std::vector<Change>& changes, Transaction& transaction);
// Enters those of the changes into the audit trail whose right is not ok.
void EnterRefusals(Database& database, const std::vector<Change>& changes,
                   const std::vector<absl::Status>& rights);

// The JSON array of held_grants' rows that AskAuthorities and the account store select.
#define SLIPWAY_PG_GRANT_JSON                                                        \
  "json_build_object('application', coalesce(h.application_id, ''), 'environment', " \
  "h.environment, 'pages', h.pages, 'operations', h.operations)"
domain::Grant GrantFromJson(const boost::json::value& grant);
domain::Operations OperationsFromJson(const boost::json::array& names);
// As a parameter of type text[].
std::string OperationsArray(domain::Operations operations);

}  // namespace slipway::store::pg
