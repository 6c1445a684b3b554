#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "controller/store/changes.h"
#include "controller/store/pg/audit_chain.h"
#include "controller/store/pg/authority_check.h"
#include "controller/store/pg/catalog_sql.h"

// What the stores of accounts and logins share. Private to this library.
namespace slipway::store::pg {

// The columns that AccountFromRow reads, of table accounts as a.
#define SLIPWAY_PG_ACCOUNT_COLUMNS                                                        \
  "a.id, a.name, a.kind, a.state, a.full_name, a.department, a.post, a.employee_number, " \
  "a.email, a.epoch, a.revision, to_micros(a.created_at) AS created_at, a.created_by, "   \
  "coalesce((SELECT json_agg(g.name ORDER BY g.name_key) FROM group_members m "           \
  "JOIN groups g ON g.id = m.group_id WHERE m.account_id = a.id), '[]') AS groups"

domain::Account AccountFromRow(const pqxx::row& row);

// What all names are compared by: without differences of case and width.
#define SLIPWAY_PG_NAME_KEY(text) "lower(normalize(" text ", NFKC))"

// Checks the authority, runs `body` and records it in the audit trail, in one transaction.
template <typename Body>
absl::Status ChangeAudited(Database& database, const Cause& cause, std::string_view action,
                           const std::string& subject, const boost::json::object& more,
                           const Body& body) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({cause.actor, subject}));
  return database.Write([&](Transaction& transaction) -> absl::Status {
    for (const absl::Status& status : CheckAuthorities(transaction, cause.authorities)) {
      if (!status.ok()) return status;
    }
    SLIPWAY_RETURN_IF_ERROR(body(transaction));
    boost::json::object entry{{"at", ToUnixMicros(cause.at)},
                              {"actor", cause.actor},
                              {"action", boost::json::string_view(action.data(), action.size())},
                              {"subject", subject}};
    for (const auto& [key, value] : more) entry[key] = value;
    AppendAudit(transaction, {std::string(boost::json::serialize(entry))});
    return absl::OkStatus();
  });
}

absl::Status NoSuch(std::string_view reason, std::string_view what, const std::string& name);

}  // namespace slipway::store::pg
