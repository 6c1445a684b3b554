#include "controller/store/pg/pg_account_store.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json.hpp>

#include "common/status/status.h"
#include "controller/store/pg/access_sql.h"
#include "controller/store/pg/audit_digest.h"
#include "controller/store/pg/creation_request.h"
#include "controller/store/pg/page_token.h"

namespace slipway::store::pg {
namespace {

namespace json = boost::json;

#define SLIPWAY_PG_ACCOUNT_QUERY "SELECT " SLIPWAY_PG_ACCOUNT_COLUMNS " FROM accounts a "
constexpr Statement kCreate{"accounts_create",
                            R"(
INSERT INTO accounts (id, name, name_key, kind, full_name, department, post, employee_number, email,
                      password_hash, created_at, created_by)
VALUES ($1, $2, )" SLIPWAY_PG_NAME_KEY(
                                "$2") R"(, $3, $4, $5, $6, $7, $8, $9, from_micros($10), $11))"};
// NULL: stays.
constexpr Statement kUpdate{"accounts_update", R"(
UPDATE accounts
   SET kind = coalesce($2, kind), state = coalesce($3, state),
       full_name = coalesce($4, full_name), department = coalesce($5, department),
       post = coalesce($6, post), employee_number = coalesce($7, employee_number),
       email = coalesce($8, email), revision = revision + 1,
       epoch = epoch + CASE WHEN $3 = 'disabled' THEN 1 ELSE 0 END
 WHERE id = $1)"};
constexpr Statement kLockByName{"accounts_lock_by_name", "SELECT " SLIPWAY_PG_ACCOUNT_COLUMNS
                                                         R"(
  FROM accounts a WHERE a.name_key = )" SLIPWAY_PG_NAME_KEY("$1") R"( AND a.state <> 'deleted'
   FOR UPDATE)"};
// All of them are locked, so that two who end each other's rights at once do not both find one
// left.
constexpr Statement kAdminsLeft{"accounts_admins_left", R"(
SELECT count(*) FROM (SELECT id FROM accounts
                       WHERE kind = 'admin' AND state = 'active' AND password_hash <> ''
                       ORDER BY id FOR UPDATE) AS admins)"};
constexpr Statement kById{"accounts_by_id",
                          SLIPWAY_PG_ACCOUNT_QUERY "WHERE a.id = $1 AND a.state <> 'deleted'"};
constexpr Statement kByName{
    "accounts_by_name", SLIPWAY_PG_ACCOUNT_QUERY
    "WHERE a.name_key = " SLIPWAY_PG_NAME_KEY("$1") " AND a.state <> 'deleted'"};
constexpr Statement kPassword{
    "accounts_password",
    "SELECT " SLIPWAY_PG_ACCOUNT_COLUMNS
    ", a.password_hash FROM accounts a WHERE a.name_key = " SLIPWAY_PG_NAME_KEY(
        "$1") " AND a.state <> 'deleted'"};
constexpr Statement kAnyByName{"accounts_any_by_name", SLIPWAY_PG_ACCOUNT_QUERY
                               "WHERE a.name_key = " SLIPWAY_PG_NAME_KEY("$1")};
constexpr Statement kList{"accounts_list", "SELECT " SLIPWAY_PG_ACCOUNT_COLUMNS R"(, a.name_key
  FROM accounts a
 WHERE a.name_key COLLATE "C" > $1 AND ($2 OR a.state <> 'deleted')
 ORDER BY a.name_key COLLATE "C" LIMIT $3)"};
constexpr Statement kCountAccounts{"accounts_count",
                                   "SELECT count(*) FROM accounts WHERE $1 OR state <> 'deleted'"};
constexpr Statement kSetPassword{"accounts_set_password", R"(
UPDATE accounts SET password_hash = $2, revision = revision + 1
 WHERE id = $1 AND state <> 'deleted' AND ($3 = '' OR password_hash = $3) RETURNING name)"};
constexpr Statement kNameKey{"accounts_name_key", "SELECT " SLIPWAY_PG_NAME_KEY("$1::text")};
constexpr Statement kEndLogins{"accounts_end_logins", R"(
UPDATE logins SET ended_at = from_micros($3), ended_why = $4
 WHERE account_id = $1 AND id <> $2 AND ended_at IS NULL)"};
constexpr Statement kRevokeTokens{"accounts_revoke_tokens", R"(
UPDATE api_tokens SET revoked_at = from_micros($2) WHERE account_id = $1 AND revoked_at IS NULL)"};
constexpr Statement kForget{"accounts_forget", R"(
WITH left_groups AS (DELETE FROM group_members WHERE account_id = $1),
     held AS (DELETE FROM grants WHERE account_id = $1)
UPDATE accounts
   SET state = 'deleted', password_hash = '', full_name = '', department = '', post = '',
       employee_number = '', email = '', epoch = epoch + 1, revision = revision + 1
 WHERE id = $1)"};

constexpr Statement kLockGroup{"accounts_lock_group", R"(
SELECT id, revision FROM groups WHERE name_key = )" SLIPWAY_PG_NAME_KEY("$1") " FOR UPDATE"};
constexpr Statement kPutGroup{"accounts_put_group", R"(
INSERT INTO groups AS g (id, name, name_key, description)
VALUES ($1, $2, )" SLIPWAY_PG_NAME_KEY("$2") R"(, $3)
    ON CONFLICT (name_key) DO UPDATE SET description = excluded.description,
                                         revision = g.revision + 1
RETURNING id)"};
constexpr Statement kClearMembers{"accounts_clear_members",
                                  "DELETE FROM group_members WHERE group_id = $1"};
constexpr Statement kAddMember{"accounts_add_member", R"(
INSERT INTO group_members (group_id, account_id)
SELECT $1, id FROM accounts
 WHERE name_key = )" SLIPWAY_PG_NAME_KEY("$2") R"( AND state <> 'deleted'
    ON CONFLICT DO NOTHING
RETURNING account_id)"};
#define SLIPWAY_PG_GROUP_QUERY                                                        \
  "SELECT g.id, g.name, g.description, g.revision, coalesce((SELECT json_agg(a.name " \
  "ORDER BY a.name_key) FROM group_members m JOIN accounts a ON a.id = m.account_id " \
  "WHERE m.group_id = g.id), '[]') AS members FROM groups g "
constexpr Statement kGroup{"accounts_group", SLIPWAY_PG_GROUP_QUERY "WHERE g.id = $1"};
constexpr Statement kGroups{"accounts_groups", SLIPWAY_PG_GROUP_QUERY
                            "WHERE g.name_key COLLATE \"C\" > " SLIPWAY_PG_NAME_KEY(
                                "$1") " ORDER BY g.name_key COLLATE \"C\" LIMIT $2"};
constexpr Statement kCountGroups{"accounts_count_groups", "SELECT count(*) FROM groups"};
constexpr Statement kDeleteGroup{"accounts_delete_group", R"(
DELETE FROM groups WHERE name_key = )" SLIPWAY_PG_NAME_KEY("$1") " RETURNING id"};

std::vector<std::string> NamesOf(const std::string& array) {
  std::vector<std::string> names;
  const json::value parsed = json::parse(array);
  for (const json::value& name : parsed.as_array()) {
    names.emplace_back(name.as_string().data(), name.as_string().size());
  }
  return names;
}

domain::AccountGroup GroupFromRow(const pqxx::row& row) {
  return {.id = GroupId(row["id"].as<std::string>()),
          .name = row["name"].as<std::string>(),
          .description = row["description"].as<std::string>(),
          .members = NamesOf(row["members"].as<std::string>()),
          .revision = row["revision"].as<std::int64_t>()};
}

// What was wished, whoever made it when.
std::string ContentsOf(domain::Account account) {
  account.id = {};
  return AuditDigest(account);
}

absl::Status Changed(std::string_view what) {
  return MakeError(absl::StatusCode::kAborted, "CHANGED",
                   fmt::format("{} was changed by somebody else meanwhile", what),
                   "Read it again and repeat the change.");
}

// REQUIRES: `before` was changed in this transaction.
absl::Status KeepAnAdmin(Transaction& transaction, const domain::Account& before) {
  if (before.kind != domain::AccountKind::kAdmin) return absl::OkStatus();
  if (transaction.Run(kAdminsLeft)[0][0].as<std::int64_t>() > 0) return absl::OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition, "LAST_ADMIN",
                   "this is the last admin that can log in", "Make another account admin first.");
}

absl::StatusOr<domain::Account> LockAccount(Transaction& transaction, const std::string& name) {
  const pqxx::result found = transaction.Run(kLockByName, name);
  if (found.empty()) return NoSuch("NO_SUCH_ACCOUNT", "account", name);
  return AccountFromRow(found[0]);
}

void EndLoginsOf(Transaction& transaction, const AccountId& account, const LoginId& keep,
                 const Cause& cause, const char* why) {
  transaction.Run(kEndLogins, account.value(), keep.value(), ToUnixMicros(cause.at), why);
}

const char* TextOrNull(const std::optional<std::string>& text) {
  return text ? text->c_str() : nullptr;
}

}  // namespace

domain::Account AccountFromRow(const pqxx::row& row) {
  domain::Account account;
  account.id = AccountId(row["id"].as<std::string>());
  account.name = row["name"].as<std::string>();
  account.kind = domain::ParseAccountKind(row["kind"].as<std::string>()).value();
  account.state = domain::ParseAccountState(row["state"].as<std::string>()).value();
  account.profile = {.full_name = row["full_name"].as<std::string>(),
                     .department = row["department"].as<std::string>(),
                     .post = row["post"].as<std::string>(),
                     .employee_number = row["employee_number"].as<std::string>(),
                     .email = row["email"].as<std::string>()};
  account.created_at = TimeOf(row["created_at"]);
  account.created_by = row["created_by"].as<std::string>();
  account.epoch = row["epoch"].as<std::int64_t>();
  account.revision = row["revision"].as<std::int64_t>();
  account.groups = NamesOf(row["groups"].as<std::string>());
  return account;
}

std::string Clipped(const std::string& text) {
  constexpr std::size_t kLongest = 4096;
  if (text.size() <= kLongest) return text;
  return domain::StorableText(std::string_view(text).substr(0, kLongest)) + " …";
}

absl::Status NoSuch(std::string_view reason, std::string_view what, const std::string& name) {
  return MakeError(absl::StatusCode::kNotFound, reason,
                   fmt::format("there is no {} '{}'", what, name));
}

absl::StatusOr<CreatedAccount> PgAccountStore::Create(const domain::Account& account,
                                                      const std::string& password_hash,
                                                      const Cause& cause) {
  const domain::Profile& profile = account.profile;
  SLIPWAY_RETURN_IF_ERROR(
      CheckStorable({account.name, profile.full_name, profile.department, profile.post,
                     profile.employee_number, profile.email, cause.request_id}));
  const std::string kind(domain::AccountKindName(account.kind));
  CreatedAccount made{.account = account};
  const absl::Status created = ChangeAudited(
      database_, cause, "create_account", "account", account.name,
      {{"id", account.id.value()}, {"kind", kind}},
      [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        SLIPWAY_ASSIGN_OR_RETURN(
            const auto before,
            ClaimRequest(transaction, cause, "account", account.name, ContentsOf(account)));
        if (before) {
          entry.action.clear();
          made = {.account = AccountFromRow(transaction.Run(kAnyByName, *before).at(0)),
                  .before = true};
          return absl::OkStatus();
        }
        transaction.Run(kCreate, account.id.value(), account.name, kind, profile.full_name,
                        profile.department, profile.post, profile.employee_number, profile.email,
                        password_hash, ToUnixMicros(account.created_at), account.created_by);
        entry.after = AuditDigest(account);
        return absl::OkStatus();
      });
  if (created.ok()) return made;
  if (!absl::IsAlreadyExists(created) || !GetErrorInfo(created).reason.empty()) return created;
  return MakeError(absl::StatusCode::kAlreadyExists, "ACCOUNT_EXISTS",
                   fmt::format("an account of the name '{}' exists or existed", account.name),
                   "Choose another name; names of deleted accounts are not given again.");
}

absl::StatusOr<domain::Account> PgAccountStore::Update(const std::string& name,
                                                       const AccountChange& change,
                                                       const Cause& cause) {
  for (const auto* text : {&change.full_name, &change.department, &change.post,
                           &change.employee_number, &change.email}) {
    if (*text) SLIPWAY_RETURN_IF_ERROR(CheckStorable({**text}));
  }
  if (!IsStorableText(name)) return NoSuch("NO_SUCH_ACCOUNT", "account", "");
  std::optional<std::string> kind;
  std::optional<std::string> state;
  Details story;
  if (change.kind) {
    story.emplace_back("kind", kind.emplace(domain::AccountKindName(*change.kind)));
  }
  if (change.state) {
    story.emplace_back("state", state.emplace(domain::AccountStateName(*change.state)));
  }
  std::optional<domain::Account> changed;
  const absl::Status status =

      ChangeAudited(database_, cause, "update_account", "account", name, story,
                    [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
                      SLIPWAY_ASSIGN_OR_RETURN(const auto account, LockAccount(transaction, name));
                      if (change.revision && *change.revision != account.revision)
                        return Changed("the account");
                      transaction.Run(kUpdate, account.id.value(), TextOrNull(kind),
                                      TextOrNull(state), TextOrNull(change.full_name),
                                      TextOrNull(change.department), TextOrNull(change.post),
                                      TextOrNull(change.employee_number), TextOrNull(change.email));
                      if (change.state == domain::AccountState::kDisabled ||
                          change.kind == domain::AccountKind::kService) {
                        EndLoginsOf(transaction, account.id, LoginId(), cause,
                                    "the account may not log in");
                      }
                      SLIPWAY_RETURN_IF_ERROR(KeepAnAdmin(transaction, account));
                      changed = AccountFromRow(transaction.Run(kById, account.id.value()).at(0));
                      entry.before = AuditDigest(account);
                      entry.after = AuditDigest(*changed);
                      return absl::OkStatus();
                    });
  if (!status.ok()) return status;
  return *std::move(changed);
}

absl::Status PgAccountStore::Delete(const std::string& name, const Cause& cause) {
  if (!IsStorableText(name)) return NoSuch("NO_SUCH_ACCOUNT", "account", "");
  return ChangeAudited(
      database_, cause, "delete_account", "account", name, {},
      [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        transaction.Run(kOneChangeOfGrants);
        SLIPWAY_ASSIGN_OR_RETURN(const auto account, LockAccount(transaction, name));
        entry.subject = account.name;
        entry.details.emplace_back("id", account.id.value());
        entry.before = AuditDigest(account);
        EndLoginsOf(transaction, account.id, LoginId(), cause, "the account was deleted");
        transaction.Run(kRevokeTokens, account.id.value(), ToUnixMicros(cause.at));
        transaction.Run(kForget, account.id.value());
        return KeepAnAdmin(transaction, account);
      });
}

absl::StatusOr<domain::Account> PgAccountStore::Get(const AccountId& id) {
  return SelectOne<domain::Account>(database_, kById, AccountFromRow, id.value(),
                                    fmt::format("account '{}'", id.value()), "NO_SUCH_ACCOUNT");
}

absl::StatusOr<domain::Account> PgAccountStore::GetByName(const std::string& name) {
  return SelectOne<domain::Account>(database_, kByName, AccountFromRow, name,
                                    fmt::format("account '{}'", name), "NO_SUCH_ACCOUNT");
}

absl::StatusOr<Page<domain::Account>> PgAccountStore::List(int page_size,
                                                           const std::string& page_token,
                                                           bool deleted) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({page_token}));
  Page<domain::Account> page;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    FillPage(page, transaction.Run(kList, page_token, deleted, page_size + 1), page_size,
             AccountFromRow, [](const pqxx::row& last, const domain::Account&) {
               return last["name_key"].as<std::string>();
             });
    page.total = transaction.Run(kCountAccounts, deleted).at(0)[0].as<std::int64_t>();
    return absl::OkStatus();
  }));
  return page;
}

absl::StatusOr<std::pair<domain::Account, std::string>> PgAccountStore::FindPassword(
    const std::string& name) {
  return SelectOne<std::pair<domain::Account, std::string>>(
      database_, kPassword,
      [](const pqxx::row& row) {
        return std::pair(AccountFromRow(row), row["password_hash"].as<std::string>());
      },
      name, "such account", "NO_SUCH_ACCOUNT");
}

absl::StatusOr<std::string> PgAccountStore::NameKey(const std::string& name) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({name}));
  return SelectOne<std::string>(
      database_, kNameKey, [](const pqxx::row& row) { return row[0].as<std::string>(); }, name,
      "name");
}

absl::Status PgAccountStore::SetPassword(const AccountId& id, const std::string& password_hash,
                                         const std::string& expected, const LoginId& keep,
                                         const Cause& cause) {
  return ChangeAudited(database_, cause, "set_password", "account", id.value(),
                       {{"id", id.value()}},
                       [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
                         const pqxx::result changed =
                             transaction.Run(kSetPassword, id.value(), password_hash, expected);
                         if (changed.empty() && !expected.empty()) return Changed("the password");
                         if (changed.empty())
                           return NoSuch("NO_SUCH_ACCOUNT", "account", id.value());
                         entry.subject = changed[0][0].as<std::string>();
                         EndLoginsOf(transaction, id, keep, cause, "the password was changed");
                         return absl::OkStatus();
                       });
}

absl::StatusOr<domain::AccountGroup> PgAccountStore::PutGroup(const domain::AccountGroup& group,
                                                              std::optional<std::int64_t> revision,
                                                              const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({group.name, group.description}));
  for (const std::string& member : group.members) {
    SLIPWAY_RETURN_IF_ERROR(CheckStorable({member}));
  }
  std::optional<domain::AccountGroup> made;
  SLIPWAY_RETURN_IF_ERROR(ChangeAudited(
      database_, cause, "put_group", "group", group.name,
      {{"members", Clipped(fmt::format("{}", fmt::join(group.members, ", ")))}},
      [&](Transaction& transaction) -> absl::Status {
        const pqxx::result before = transaction.Run(kLockGroup, group.name);
        const std::int64_t seen = before.empty() ? 0 : before[0]["revision"].as<std::int64_t>();
        if (revision && *revision != seen) return Changed("the group");
        const auto id = transaction.Run(kPutGroup, group.id.value(), group.name, group.description)
                            .at(0)[0]
                            .as<std::string>();
        transaction.Run(kClearMembers, id);
        for (const std::string& member : group.members) {
          if (!transaction.Run(kAddMember, id, member).empty()) continue;
          // Named twice, or not there.
          if (transaction.Run(kByName, member).empty()) {
            return NoSuch("NO_SUCH_ACCOUNT", "account", member);
          }
        }
        made = GroupFromRow(transaction.Run(kGroup, id).at(0));
        return absl::OkStatus();
      }));
  return *std::move(made);
}

absl::StatusOr<Page<domain::AccountGroup>> PgAccountStore::ListGroups(const PageRequest& page) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({page.token}));
  Page<domain::AccountGroup> groups;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    FillPage(groups, transaction.Run(kGroups, page.token, page.size + 1), page.size, GroupFromRow,
             [](const pqxx::row&, const domain::AccountGroup& last) { return last.name; });
    groups.total = transaction.Run(kCountGroups).at(0)[0].as<std::int64_t>();
    return absl::OkStatus();
  }));
  return groups;
}

absl::Status PgAccountStore::DeleteGroup(const std::string& name, const Cause& cause) {
  if (!IsStorableText(name)) return NoSuch("NO_SUCH_GROUP", "group", "");
  return ChangeAudited(database_, cause, "delete_group", "group", name, {},
                       [&](Transaction& transaction) -> absl::Status {
                         transaction.Run(kOneChangeOfGrants);
                         if (transaction.Run(kDeleteGroup, name).empty()) {
                           return NoSuch("NO_SUCH_GROUP", "group", name);
                         }
                         return absl::OkStatus();
                       });
}

}  // namespace slipway::store::pg
