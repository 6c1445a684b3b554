#include "controller/store/pg/pg_login_store.h"

#include <boost/json.hpp>

#include "common/status/status.h"
#include "controller/store/pg/access_sql.h"
#include "controller/store/pg/audit_digest.h"
#include "controller/store/pg/creation_request.h"
#include "controller/store/pg/page_token.h"

namespace slipway::store::pg {
namespace {

namespace json = boost::json;

constexpr Statement kAddLogin{"logins_add", R"(
INSERT INTO logins (id, account_id, epoch, created_at, refreshed_at, expires_at, address, client)
SELECT $1, id, epoch, from_micros($4), from_micros($4), from_micros($5), $6, $7
  FROM (SELECT id, epoch FROM accounts
         WHERE id = $2 AND epoch = $3 AND state = 'active' AND password_hash = $8
           FOR SHARE) AS same
RETURNING id)"};
constexpr Statement kAdvance{"logins_advance", R"(
UPDATE logins SET generation = generation + 1, expires_at = from_micros($3),
                  refreshed_at = from_micros($4)
 WHERE id = $1 AND generation = $2 AND ended_at IS NULL AND expires_at > from_micros($4)
RETURNING id)"};
#define SLIPWAY_PG_LOGIN_QUERY                                                              \
  "SELECT id, account_id, epoch, generation, to_micros(created_at) AS created_at, "         \
  "to_micros(refreshed_at) AS refreshed_at, to_micros(expires_at) AS expires_at, address, " \
  "client FROM logins WHERE ended_at IS NULL "
constexpr Statement kLogin{"logins_get", SLIPWAY_PG_LOGIN_QUERY "AND id = $1"};
constexpr Statement kLive{"logins_live", SLIPWAY_PG_LOGIN_QUERY
                          "AND expires_at > from_micros($2) AND account_id = $1 "
                          "AND ($3 OR (created_at, id) < (from_micros($4), $5)) "
                          "ORDER BY created_at DESC, id DESC LIMIT $6"};
constexpr Statement kCountLive{"logins_count_live", R"(
SELECT count(*) FROM logins
 WHERE ended_at IS NULL AND expires_at > from_micros($2) AND account_id = $1)"};
constexpr Statement kEnd{"logins_end", R"(
UPDATE logins SET ended_at = from_micros($3), ended_why = $4
 WHERE id = $1 AND ($2 = '' OR account_id = $2) AND ended_at IS NULL RETURNING id)"};
constexpr Statement kRaiseEpoch{"logins_raise_epoch", R"(
UPDATE accounts SET epoch = epoch + 1 WHERE id = $1 RETURNING name)"};
constexpr Statement kEndAll{"logins_end_all", R"(
UPDATE logins SET ended_at = from_micros($2), ended_why = 'logged out everywhere'
 WHERE account_id = $1 AND ended_at IS NULL RETURNING id)"};

constexpr Statement kAddToken{"tokens_add", R"(
INSERT INTO api_tokens (token_hash, id, account_id, name, operations, applications, created_at,
                        expires_at)
VALUES ($1, $2, $3, $4, $5::text[], $6::text[], from_micros($7), from_micros($8)))"};
#define SLIPWAY_PG_TOKEN_COLUMNS                                                           \
  "t.id AS t_id, t.account_id AS t_account, t.name AS t_name, "                            \
  "array_to_json(t.operations) AS t_operations, array_to_json(t.applications) AS "         \
  "t_applications, to_micros(t.created_at) AS t_created_at, to_micros(t.expires_at) AS "   \
  "t_expires_at, to_micros(t.last_used_at) AS t_last_used_at, to_micros(t.revoked_at) AS " \
  "t_revoked_at"
constexpr Statement kFindToken{
    "tokens_find", "SELECT " SLIPWAY_PG_TOKEN_COLUMNS ", " SLIPWAY_PG_ACCOUNT_COLUMNS R"(
  FROM api_tokens t JOIN accounts a ON a.id = t.account_id WHERE t.token_hash = $1)"};
// Whether it had not ended by then: what comes to a token later does not move it.
#define SLIPWAY_PG_TOKEN_GOOD "coalesce(least(t.revoked_at, t.expires_at) > from_micros($2), true)"
constexpr Statement kTokens{
    "tokens_of", "SELECT " SLIPWAY_PG_TOKEN_COLUMNS ", " SLIPWAY_PG_TOKEN_GOOD R"( AS good
  FROM api_tokens t
 WHERE t.account_id = $1
   AND ($3 OR ()" SLIPWAY_PG_TOKEN_GOOD R"(, t.created_at, t.id) < ($4, from_micros($5), $6))
 ORDER BY good DESC, t.created_at DESC, t.id DESC
 LIMIT $7)"};
constexpr Statement kCountTokens{"tokens_count",
                                 "SELECT count(*) FROM api_tokens WHERE account_id = $1"};
constexpr Statement kRevoke{"tokens_revoke", R"(
UPDATE api_tokens SET revoked_at = from_micros($3)
 WHERE id = $1 AND ($2 = '' OR account_id = $2) AND revoked_at IS NULL RETURNING id)"};
constexpr Statement kForgetLogins{"logins_forget", R"(
DELETE FROM logins WHERE id = ANY (ARRAY(
  SELECT id FROM logins WHERE least(ended_at, expires_at) < from_micros($1)
   ORDER BY least(ended_at, expires_at) LIMIT $2)))"};
constexpr Statement kForgetTokens{"tokens_forget", R"(
DELETE FROM api_tokens WHERE id = ANY (ARRAY(
  SELECT id FROM api_tokens
   WHERE least(revoked_at, expires_at) < from_micros($1) AND expires_at IS NOT NULL
   ORDER BY least(revoked_at, expires_at) LIMIT $2)))"};
constexpr Statement kTouch{"tokens_touch", R"(
UPDATE api_tokens t SET last_used_at = from_micros(u.at)
  FROM unnest($1::text[], $2::bigint[]) AS u(id, at) WHERE t.id = u.id)"};

domain::Login LoginFromRow(const pqxx::row& row) {
  return {.id = LoginId(row["id"].as<std::string>()),
          .account = AccountId(row["account_id"].as<std::string>()),
          .epoch = row["epoch"].as<std::int64_t>(),
          .generation = row["generation"].as<std::int64_t>(),
          .created_at = TimeOf(row["created_at"]),
          .refreshed_at = TimeOf(row["refreshed_at"]),
          .expires_at = TimeOf(row["expires_at"]),
          .address = row["address"].as<std::string>(),
          .client = row["client"].as<std::string>()};
}

domain::ApiToken TokenFromRow(const pqxx::row& row) {
  domain::ApiToken token;
  token.id = ApiTokenId(row["t_id"].as<std::string>());
  token.account = AccountId(row["t_account"].as<std::string>());
  token.name = row["t_name"].as<std::string>();
  const json::value operations = json::parse(row["t_operations"].as<std::string>());
  token.operations = OperationsFromJson(operations.as_array());
  const json::value applications = json::parse(row["t_applications"].as<std::string>());
  for (const json::value& id : applications.as_array()) {
    token.applications.emplace_back(std::string(id.as_string().data(), id.as_string().size()));
  }
  token.created_at = TimeOf(row["t_created_at"]);
  token.expires_at = TimeOf(row["t_expires_at"]);
  token.last_used_at = TimeOf(row["t_last_used_at"]);
  token.revoked_at = TimeOf(row["t_revoked_at"]);
  return token;
}

// What was wished, whoever made it when.
std::string ContentsOf(domain::ApiToken token) {
  token.id = {};
  if (token.expires_at != WallTime())
    token.expires_at = WallTime() + (token.expires_at - token.created_at);
  token.created_at = {};
  return AuditDigest(token);
}

std::string IdArray(const std::vector<ApplicationId>& ids) {
  std::vector<std::string> texts;
  for (const ApplicationId& id : ids) texts.push_back(id.value());
  return TextArray(texts);
}

}  // namespace

absl::Status PgLoginStore::AddLogin(const domain::Login& login, const std::string& password_hash,
                                    const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({login.address, login.client}));
  return ChangeAudited(database_, cause, "login", "login", login.id.value(),
                       {{"account", login.account.value()}, {"address", login.address}},
                       [&](Transaction& transaction) -> absl::Status {
                         const pqxx::result added = transaction.Run(
                             kAddLogin, login.id.value(), login.account.value(), login.epoch,
                             ToUnixMicros(login.created_at), ToUnixMicros(login.expires_at),
                             login.address, login.client, password_hash);
                         if (!added.empty()) return absl::OkStatus();
                         return absl::AbortedError("the account has changed meanwhile");
                       });
}

absl::Status PgLoginStore::AdvanceLogin(const LoginId& id, std::int64_t from, WallTime expires_at,
                                        WallTime now) {
  return database_.Write([&](Transaction& transaction) -> absl::Status {
    const pqxx::result advanced =
        transaction.Run(kAdvance, id.value(), from, ToUnixMicros(expires_at), ToUnixMicros(now));
    if (advanced.empty()) return NoSuch("NO_SUCH_LOGIN", "login", id.value());
    return absl::OkStatus();
  });
}

absl::StatusOr<domain::Login> PgLoginStore::GetLogin(const LoginId& id) {
  return SelectOne<domain::Login>(database_, kLogin, LoginFromRow, id.value(),
                                  fmt::format("login '{}'", id.value()), "NO_SUCH_LOGIN");
}

absl::StatusOr<Page<domain::Login>> PgLoginStore::LiveLogins(const AccountId& account, WallTime now,
                                                             const PageRequest& page) {
  SLIPWAY_ASSIGN_OR_RETURN(const PageEnd end, ParsePageEnd(page.token, 1));
  Page<domain::Login> logins;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    const std::int64_t micros = ToUnixMicros(now);
    FillPage(logins,
             transaction.Run(kLive, account.value(), micros, end.first_page, end.numbers[0],
                             end.text, page.size + 1),
             page.size, LoginFromRow, [](const pqxx::row&, const domain::Login& last) {
               return PageTokenOf({ToUnixMicros(last.created_at)}, last.id.value());
             });
    logins.total = transaction.Run(kCountLive, account.value(), micros).at(0)[0].as<std::int64_t>();
    return absl::OkStatus();
  }));
  return logins;
}

absl::Status PgLoginStore::EndLogin(const LoginId& id, const AccountId& account,
                                    const std::string& why, const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({id.value(), why}));
  return ChangeAudited(database_, cause, "end_login", "login", id.value(), {{"why", why}},
                       [&](Transaction& transaction) -> absl::Status {
                         const pqxx::result ended = transaction.Run(
                             kEnd, id.value(), account.value(), ToUnixMicros(cause.at), why);
                         if (ended.empty()) return NoSuch("NO_SUCH_LOGIN", "login", id.value());
                         return absl::OkStatus();
                       });
}

absl::StatusOr<int> PgLoginStore::EndLogins(const AccountId& account, const Cause& cause) {
  int ended = 0;
  const absl::Status status = ChangeAudited(
      database_, cause, "end_logins", "account", account.value(), {{"id", account.value()}},
      [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        const pqxx::result raised = transaction.Run(kRaiseEpoch, account.value());
        if (raised.empty()) return NoSuch("NO_SUCH_ACCOUNT", "account", account.value());
        entry.subject = raised[0][0].as<std::string>();
        ended = static_cast<int>(
            transaction.Run(kEndAll, account.value(), ToUnixMicros(cause.at)).size());
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return ended;
}

absl::Status PgLoginStore::AddToken(const std::string& token_hash, const domain::ApiToken& token,
                                    const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({token_hash, token.name, cause.request_id}));
  return ChangeAudited(
      database_, cause, "create_api_token", "api_token", token.id.value(),
      {{"account", token.account.value()}, {"name", token.name}},
      [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        SLIPWAY_ASSIGN_OR_RETURN(
            const auto before,
            ClaimRequest(transaction, cause, "API token", token.id.value(), ContentsOf(token)));
        if (before) return SecretShownOnce("API token", *before);
        transaction.Run(kAddToken, token_hash, token.id.value(), token.account.value(), token.name,
                        OperationsArray(token.operations), IdArray(token.applications),
                        ToUnixMicros(token.created_at), ToUnixMicros(token.expires_at));
        entry.after = AuditDigest(token);
        return absl::OkStatus();
      });
}

absl::StatusOr<std::pair<domain::ApiToken, domain::Account>> PgLoginStore::FindToken(
    const std::string& token_hash) {
  return SelectOne<std::pair<domain::ApiToken, domain::Account>>(
      database_, kFindToken,
      [](const pqxx::row& row) { return std::pair(TokenFromRow(row), AccountFromRow(row)); },
      token_hash, "such API token", "NO_SUCH_TOKEN");
}

absl::StatusOr<Page<domain::ApiToken>> PgLoginStore::ListTokens(const AccountId& account,
                                                                WallTime now,
                                                                const PageRequest& page) {
  SLIPWAY_ASSIGN_OR_RETURN(const PageEnd end, ParsePageEnd(page.token, 3));
  const std::int64_t since = end.first_page ? ToUnixMicros(now) : end.numbers[0];
  Page<domain::ApiToken> tokens;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    FillPage(tokens,
             transaction.Run(kTokens, account.value(), since, end.first_page, end.numbers[1] != 0,
                             end.numbers[2], end.text, page.size + 1),
             page.size, TokenFromRow, [&](const pqxx::row& row, const domain::ApiToken& last) {
               return PageTokenOf(
                   {since, row["good"].as<bool>() ? 1 : 0, ToUnixMicros(last.created_at)},
                   last.id.value());
             });
    tokens.total = transaction.Run(kCountTokens, account.value()).at(0)[0].as<std::int64_t>();
    return absl::OkStatus();
  }));
  return tokens;
}

absl::Status PgLoginStore::RevokeToken(const ApiTokenId& id, const AccountId& account,
                                       const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({id.value()}));
  return ChangeAudited(database_, cause, "revoke_api_token", "api_token", id.value(), {},
                       [&](Transaction& transaction) -> absl::Status {
                         const pqxx::result revoked = transaction.Run(
                             kRevoke, id.value(), account.value(), ToUnixMicros(cause.at));
                         if (revoked.empty())
                           return NoSuch("NO_SUCH_TOKEN", "API token", id.value());
                         return absl::OkStatus();
                       });
}

absl::StatusOr<int> PgLoginStore::ForgetEnded(WallTime before, int most) {
  std::size_t forgotten = 0;
  const absl::Status status = database_.Write([&](Transaction& transaction) {
    forgotten = transaction.Run(kForgetLogins, ToUnixMicros(before), most).affected_rows();
    forgotten += transaction.Run(kForgetTokens, ToUnixMicros(before), most).affected_rows();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return static_cast<int>(forgotten);
}

absl::Status PgLoginStore::TouchTokens(const std::map<ApiTokenId, WallTime>& used) {
  std::vector<std::string> ids;
  std::vector<std::string> times;
  for (const auto& [id, at] : used) {
    ids.push_back(id.value());
    times.push_back(std::to_string(ToUnixMicros(at)));
  }
  return Execute(database_, kTouch, TextArray(ids), TextArray(times));
}

}  // namespace slipway::store::pg
