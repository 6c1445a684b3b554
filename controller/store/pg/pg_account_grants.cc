#include <fmt/format.h>

#include <boost/json.hpp>

#include "common/status/status.h"
#include "controller/store/pg/access_sql.h"
#include "controller/store/pg/page_token.h"
#include "controller/store/pg/pg_account_store.h"

// The part of PgAccountStore that is about grants.
namespace slipway::store::pg {
namespace {

namespace json = boost::json;

constexpr Statement kAccountId{"accounts_account_id",
                               "SELECT id FROM accounts WHERE name_key = " SLIPWAY_PG_NAME_KEY(
                                   "$1") " AND state <> 'deleted'"};
constexpr Statement kGroupId{"accounts_group_id", R"(
SELECT id FROM groups WHERE name_key = )" SLIPWAY_PG_NAME_KEY("$1")};
constexpr Statement kApplicationId{"accounts_application_id",
                                   "SELECT id FROM applications WHERE name = $1"};
// It stays while the transaction lasts.
constexpr Statement kEnvironment{"accounts_environment",
                                 "SELECT name FROM environments WHERE name = $1 FOR KEY SHARE"};
// NULLs are equal here, and so are they in the table's unique constraint.
constexpr Statement kAddGrant{"accounts_add_grant", R"(
INSERT INTO grants AS g (account_id, group_id, application_id, environment, pages, operations)
VALUES (nullif($1, ''), nullif($2, ''), nullif($3, ''), $4, $5, $6::text[])
    ON CONFLICT (account_id, group_id, application_id, environment, pages) DO UPDATE
   SET operations = ARRAY(SELECT DISTINCT o FROM unnest(g.operations || excluded.operations) AS o
                           ORDER BY o))"};
#define SLIPWAY_PG_THIS_GRANT                                                         \
  "account_id IS NOT DISTINCT FROM nullif($1, '') AND group_id IS NOT DISTINCT FROM " \
  "nullif($2, '') AND application_id IS NOT DISTINCT FROM nullif($3, '') AND "        \
  "environment = $4 AND pages = $5"
constexpr Statement kDropGrant{"accounts_drop_grant",
                               "DELETE FROM grants WHERE " SLIPWAY_PG_THIS_GRANT
                               " AND ($6::text[] = '{}' OR operations <@ $6::text[])"};
constexpr Statement kShrinkGrant{"accounts_shrink_grant",
                                 "UPDATE grants SET operations = "
                                 "ARRAY(SELECT o FROM unnest(operations) AS o WHERE o <> ALL "
                                 "($6::text[]) ORDER BY o) WHERE " SLIPWAY_PG_THIS_GRANT};
// Of account $1 and its groups, of group $2, for application $3; '': whichever.
#define SLIPWAY_PG_GRANT_WANTED                                                   \
  "($1 = '' OR g.account_id = $1 "                                                \
  "OR g.group_id IN (SELECT group_id FROM group_members WHERE account_id = $1)) " \
  "AND ($2 = '' OR g.group_id = $2) "                                             \
  "AND ($3 = '' OR g.application_id = $3 OR g.application_id IS NULL)"
constexpr Statement kGrants{"accounts_grants", R"(
SELECT g.place, coalesce(a.name, '') AS account, coalesce(r.name, '') AS group,
       coalesce(p.name, '') AS application, g.environment, g.pages,
       array_to_json(g.operations) AS operations
  FROM (SELECT *, concat_ws(chr(1), coalesce(account_id, ''), coalesce(group_id, ''),
                            coalesce(application_id, ''), environment, pages) COLLATE "C" AS place
          FROM grants) AS g
  LEFT JOIN accounts a ON a.id = g.account_id
  LEFT JOIN groups r ON r.id = g.group_id
  LEFT JOIN applications p ON p.id = g.application_id
 WHERE g.place > $4 AND )" SLIPWAY_PG_GRANT_WANTED " ORDER BY g.place LIMIT $5"};
constexpr Statement kCountGrants{"accounts_count_grants",
                                 "SELECT count(*) FROM grants g WHERE " SLIPWAY_PG_GRANT_WANTED};
constexpr Statement kGrantsOf{"accounts_grants_of", "SELECT " SLIPWAY_PG_GRANT_JSON R"( AS grant
  FROM held_grants h
 WHERE h.account_id = $1 AND (h.application_id = ANY ($2::text[]) OR h.application_id IS NULL))"};
constexpr Statement kEnvironmentsOf{"accounts_environments_of", R"(
SELECT DISTINCT h.environment FROM held_grants h
 WHERE h.account_id = $1 AND $2 = ANY (h.operations)
   AND ($3::text[] = '{}' OR h.application_id IS NULL OR h.application_id = ANY ($3::text[])))"};
constexpr Statement kSummedGrantsOf{"accounts_summed_grants_of",
                                    "SELECT " SLIPWAY_PG_GRANT_JSON R"( AS grant
  FROM (SELECT account_id, application_id, operations, '' AS environment, '' AS pages
          FROM held_applications) AS h
 WHERE h.account_id = $1 AND (h.application_id = ANY ($2::text[]) OR h.application_id IS NULL))"};

// The ids of a grant's names.
struct GrantIds {
  std::string account;
  std::string group;
  std::string application;
};

absl::StatusOr<std::string> IdOf(Transaction& transaction, const Statement& statement,
                                 const std::string& name, std::string_view reason,
                                 std::string_view what) {
  if (name.empty()) return std::string();
  const pqxx::result found = transaction.Run(statement, name);
  if (found.empty()) return NoSuch(reason, what, name);
  return found[0][0].as<std::string>();
}

absl::StatusOr<GrantIds> IdsOf(Transaction& transaction, const std::string& account,
                               const std::string& group, const std::string& application) {
  GrantIds ids;
  SLIPWAY_ASSIGN_OR_RETURN(ids.account,
                           IdOf(transaction, kAccountId, account, "NO_SUCH_ACCOUNT", "account"));
  SLIPWAY_ASSIGN_OR_RETURN(ids.group, IdOf(transaction, kGroupId, group, "NO_SUCH_GROUP", "group"));
  SLIPWAY_ASSIGN_OR_RETURN(ids.application, IdOf(transaction, kApplicationId, application,
                                                 "NO_SUCH_APPLICATION", "application"));
  return ids;
}

// "mei: shop package,publish; group Testers: * preview test /help", for the audit trail.
std::string Describe(const std::vector<NamedGrant>& grants) {
  std::string text;
  for (const NamedGrant& grant : grants) {
    std::string operations;
    for (const domain::Operation operation : grant.operations.List()) {
      operations += operations.empty() ? "" : ",";
      operations += domain::OperationName(operation);
    }
    text += fmt::format(
        "{}{}{}: {} {}", text.empty() ? "" : "; ", grant.group.empty() ? "" : "group ",
        grant.group.empty() ? grant.account : grant.group,
        grant.application.empty() ? "*" : grant.application, operations.empty() ? "*" : operations);
    for (const std::string& part : {grant.environment, grant.pages}) {
      if (!part.empty()) text += " " + part;
    }
  }
  return text;
}

}  // namespace

absl::Status PgAccountStore::ChangeGrants(const std::vector<NamedGrant>& add,
                                          const std::vector<NamedGrant>& remove,
                                          const Cause& cause) {
  for (const auto* grants : {&add, &remove}) {
    for (const NamedGrant& grant : *grants) {
      SLIPWAY_RETURN_IF_ERROR(CheckStorable(
          {grant.account, grant.group, grant.application, grant.environment, grant.pages}));
    }
  }
  return ChangeAudited(
      database_, cause, "change_grants", "grants", "grants",
      {{"add", Clipped(Describe(add))}, {"remove", Clipped(Describe(remove))}},
      [&](Transaction& transaction) -> absl::Status {
        const auto run = [&](const Statement& statement, const NamedGrant& grant) -> absl::Status {
          SLIPWAY_ASSIGN_OR_RETURN(const GrantIds ids, IdsOf(transaction, grant.account,
                                                             grant.group, grant.application));
          transaction.Run(statement, ids.account, ids.group, ids.application, grant.environment,
                          grant.pages, OperationsArray(grant.operations));
          return absl::OkStatus();
        };
        transaction.Run(kOneChangeOfGrants);
        for (const NamedGrant& grant : remove) {
          SLIPWAY_RETURN_IF_ERROR(run(kDropGrant, grant));
          if (!grant.operations.empty()) SLIPWAY_RETURN_IF_ERROR(run(kShrinkGrant, grant));
        }
        for (const NamedGrant& grant : add) {
          SLIPWAY_RETURN_IF_ERROR(IdOf(transaction, kEnvironment, grant.environment,
                                       "NO_SUCH_ENVIRONMENT", "environment")
                                      .status());
          SLIPWAY_RETURN_IF_ERROR(run(kAddGrant, grant));
        }
        return absl::OkStatus();
      });
}

namespace {

NamedGrant NamedGrantFromRow(const pqxx::row& row) {
  const json::value operations = json::parse(row["operations"].as<std::string>());
  return {.account = row["account"].as<std::string>(),
          .group = row["group"].as<std::string>(),
          .application = row["application"].as<std::string>(),
          .operations = OperationsFromJson(operations.as_array()),
          .environment = row["environment"].as<std::string>(),
          .pages = row["pages"].as<std::string>()};
}

}  // namespace

absl::StatusOr<Page<NamedGrant>> PgAccountStore::ListGrants(const GrantFilter& filter) {
  SLIPWAY_RETURN_IF_ERROR(
      CheckStorable({filter.account, filter.group, filter.application, filter.page_token}));
  Page<NamedGrant> page;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) -> absl::Status {
    SLIPWAY_ASSIGN_OR_RETURN(const GrantIds ids,
                             IdsOf(transaction, filter.account, filter.group, filter.application));
    FillPage(page,
             transaction.Run(kGrants, ids.account, ids.group, ids.application, filter.page_token,
                             filter.page_size + 1),
             filter.page_size, NamedGrantFromRow, [](const pqxx::row& last, const NamedGrant&) {
               return last["place"].as<std::string>();
             });
    page.total = transaction.Run(kCountGrants, ids.account, ids.group, ids.application)
                     .at(0)[0]
                     .as<std::int64_t>();
    return absl::OkStatus();
  }));
  return page;
}

namespace {

absl::StatusOr<std::vector<domain::Grant>> SelectGrants(
    Database& database, const Statement& statement, const AccountId& account,
    const std::vector<ApplicationId>& applications) {
  std::vector<std::string> ids;
  for (const ApplicationId& id : applications) ids.push_back(id.value());
  return Select<domain::Grant>(
      database, statement,
      [](const pqxx::row& row) { return GrantFromJson(json::parse(row[0].as<std::string>())); },
      account.value(), TextArray(ids));
}

}  // namespace

absl::StatusOr<std::vector<domain::Grant>> PgAccountStore::GrantsOf(
    const AccountId& account, const std::vector<ApplicationId>& applications) {
  return SelectGrants(database_, kGrantsOf, account, applications);
}

absl::StatusOr<std::vector<domain::Grant>> PgAccountStore::SummedGrantsOf(
    const AccountId& account, const std::vector<ApplicationId>& applications) {
  return SelectGrants(database_, kSummedGrantsOf, account, applications);
}

absl::StatusOr<std::vector<std::string>> PgAccountStore::EnvironmentsOf(
    const AccountId& account, domain::Operation operation, const std::vector<ApplicationId>& only) {
  std::vector<std::string> ids;
  for (const ApplicationId& id : only) ids.push_back(id.value());
  return Select<std::string>(
      database_, kEnvironmentsOf,
      [](const pqxx::row& row) { return row["environment"].as<std::string>(); }, account.value(),
      std::string(domain::OperationName(operation)), TextArray(ids));
}

}  // namespace slipway::store::pg
