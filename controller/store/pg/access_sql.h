#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "controller/domain/audit.h"
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

using Details = std::vector<std::pair<std::string, domain::AuditEntry::Value>>;

// Checks the authorities, runs `body` and records it in the audit trail, in one transaction. `body`
// may add to the entry; one whose action it clears is about nothing that was done, and not
// recorded.
template <typename Body>
absl::Status ChangeAudited(Database& database, const Cause& cause, std::string_view action,
                           std::string_view object, const std::string& subject, Details details,
                           const Body& body) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({cause.actor, subject}));
  domain::AuditEntry entry;
  entry.actor = cause.actor;
  entry.from = cause.from;
  entry.action = action;
  entry.object = object;
  entry.subject = subject;
  entry.details = std::move(details);
  return database.Write([&](Transaction& transaction) -> absl::Status {
    SLIPWAY_RETURN_IF_ERROR(CheckCause(database, transaction, cause, entry));
    domain::AuditEntry made = entry;
    absl::Status status;
    if constexpr (std::is_invocable_v<Body, Transaction&, domain::AuditEntry&>) {
      status = body(transaction, made);
    } else {
      status = body(transaction);
    }
    if (!status.ok()) return status;
    if (!made.action.empty()) AppendAudit(transaction, {std::move(made)});
    return absl::OkStatus();
  });
}

// Changes of grants come one after another, from their first row on: the sum of them locks its
// table at the end of each statement (0012_held_applications.sql), and whoever holds rows of grants
// by then and waits for it would be waited for.
inline constexpr Statement kOneChangeOfGrants{
    "grants_one_change", "LOCK TABLE granted_applications IN SHARE ROW EXCLUSIVE MODE"};

// What an entry may say of lists: entries are read many at once.
std::string Clipped(const std::string& text);

absl::Status NoSuch(std::string_view reason, std::string_view what, const std::string& name);

}  // namespace slipway::store::pg
