#include "controller/store/pg/pg_agent_store.h"

#include <boost/json.hpp>

#include "common/base/time.h"
#include "controller/store/pg/access_sql.h"
#include "controller/store/pg/audit_chain.h"
#include "controller/store/pg/catalog_sql.h"
#include "controller/store/pg/creation_request.h"
#include "controller/store/pg/page_token.h"
#include "controller/store/pg/rows.h"

namespace slipway::store::pg {
namespace {

namespace json = boost::json;
using domain::JoinTokenState;

// What the one who tries to join is told, whatever is wrong with the token.
constexpr char kBadToken[] = "BAD_TOKEN";

constexpr Statement kAddJoinToken{"agents_add_join_token", R"(
INSERT INTO join_tokens (token_hash, created_at, created_by, expires_at)
VALUES ($1, from_micros($2), $3, from_micros($4)))"};
#define SLIPWAY_PG_JOIN_TOKEN_QUERY                                                            \
  "SELECT token_hash, to_micros(created_at) AS created_at, created_by, to_micros(expires_at) " \
  "AS expires_at, to_micros(used_at) AS used_at, coalesce(used_by, '') AS used_by, "           \
  "to_micros(revoked_at) AS revoked_at, revoked_by FROM join_tokens "
constexpr Statement kJoinTokens{"agents_join_tokens", SLIPWAY_PG_JOIN_TOKEN_QUERY
                                "WHERE (NOT $1 OR (used_at IS NULL AND revoked_at IS NULL AND "
                                "expires_at > from_micros($2))) AND ($3 OR (created_at, "
                                "left(token_hash, 12)) < (from_micros($4), $5)) ORDER BY "
                                "created_at DESC, left(token_hash, 12) DESC LIMIT $6"};
constexpr Statement kCountJoinTokens{"agents_count_join_tokens", R"(
SELECT count(*) FROM join_tokens
 WHERE NOT $1 OR (used_at IS NULL AND revoked_at IS NULL AND expires_at > from_micros($2)))"};
// Locked, so that of two that use a token the later one sees that it is used.
constexpr Statement kLockJoinToken{"agents_lock_join_token",
                                   SLIPWAY_PG_JOIN_TOKEN_QUERY "WHERE token_hash = $1 FOR UPDATE"};
constexpr Statement kLockByShortId{
    "agents_lock_by_short_id", SLIPWAY_PG_JOIN_TOKEN_QUERY
    "WHERE left(token_hash, 12) = $1 ORDER BY created_at DESC LIMIT 1 "
    "FOR UPDATE"};
constexpr Statement kRevokeJoinToken{
    "agents_revoke_join_token",
    "UPDATE join_tokens SET revoked_at = from_micros($2), revoked_by = $3 WHERE token_hash = $1"};
constexpr Statement kInsertAgent{"agents_insert", R"(
INSERT INTO agents (id, name, labels, certificate_fingerprint, certificate_not_after, joined_at,
                    last_seen)
VALUES ($1, $2, $3::jsonb, $4, from_micros($5), from_micros($6), from_micros($7)))"};
constexpr Statement kUseJoinToken{
    "agents_use_join_token",
    "UPDATE join_tokens SET used_at = from_micros($2), used_by = $3 WHERE token_hash = $1"};

#define SLIPWAY_PG_AGENT_QUERY                                                                   \
  "SELECT id, name, labels, certificate_fingerprint, to_micros(certificate_not_after) AS "       \
  "certificate_not_after, successor_fingerprint, to_micros(successor_not_after) AS "             \
  "successor_not_after, to_micros(successor_since) AS successor_since, to_micros(joined_at) AS " \
  "joined_at, to_micros(last_seen) AS last_seen, mode, mode_reason, mode_by, "                   \
  "to_micros(mode_since) AS mode_since, to_micros(mode_until) AS mode_until FROM agents "
constexpr Statement kAgentById{"agents_by_id", SLIPWAY_PG_AGENT_QUERY "WHERE id = $1"};
constexpr Statement kAgents{"agents_all", SLIPWAY_PG_AGENT_QUERY
                            "ORDER BY name COLLATE \"C\", mode IN ('retired', 'revoked'), "
                            "joined_at DESC"};
constexpr Statement kTouchAgents{"agents_touch", R"(
UPDATE agents a
   SET labels = c.labels, last_seen = from_micros($2)
  FROM jsonb_to_recordset($1::jsonb) AS c(id text, labels jsonb)
 WHERE a.id = c.id)"};
constexpr Statement kAddSuccessor{"agents_add_successor", R"(
UPDATE agents
   SET successor_fingerprint = $2, successor_not_after = from_micros($3),
       successor_since = from_micros($4)
 WHERE id = $1 AND mode NOT IN ('retired', 'revoked')
RETURNING name)"};
constexpr Statement kPromoteSuccessor{"agents_promote_successor", R"(
UPDATE agents
   SET certificate_fingerprint = successor_fingerprint,
       certificate_not_after = successor_not_after, successor_fingerprint = '',
       successor_not_after = NULL, successor_since = NULL
 WHERE id = $1 AND successor_fingerprint = $2 AND successor_fingerprint <> ''
RETURNING name)"};

domain::JoinToken JoinTokenFromRow(const pqxx::row& row) {
  return {.token_hash = row["token_hash"].as<std::string>(),
          .created_at = TimeOf(row["created_at"]),
          .created_by = row["created_by"].as<std::string>(),
          .expires_at = TimeOf(row["expires_at"]),
          .used_at = TimeOf(row["used_at"]),
          .used_by = AgentId(row["used_by"].as<std::string>()),
          .revoked_at = TimeOf(row["revoked_at"]),
          .revoked_by = row["revoked_by"].as<std::string>()};
}

domain::Agent AgentFromRow(const pqxx::row& row) {
  return {.id = AgentId(row["id"].as<std::string>()),
          .name = row["name"].as<std::string>(),
          .labels = LabelsFromJson(row["labels"].as<std::string>()),
          .certificate = {.fingerprint = row["certificate_fingerprint"].as<std::string>(),
                          .not_after = TimeOf(row["certificate_not_after"])},
          .successor = {.fingerprint = row["successor_fingerprint"].as<std::string>(),
                        .not_after = TimeOf(row["successor_not_after"])},
          .successor_since = TimeOf(row["successor_since"]),
          .joined_at = TimeOf(row["joined_at"]),
          .last_seen = TimeOf(row["last_seen"]),
          .availability = AvailabilityFromRow(row)};
}

// About an agent or, with `object` "join_token", a token.
domain::AuditEntry Entry(std::string action, std::string object, std::string subject,
                         std::string actor) {
  domain::AuditEntry entry;
  entry.actor = std::move(actor);
  entry.action = std::move(action);
  entry.object = std::move(object);
  entry.subject = std::move(subject);
  return entry;
}

json::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string Actor(const AgentId& agent) { return "agent:" + agent.value(); }

absl::Status NoAgent(const AgentId& id) {
  return absl::NotFoundError(fmt::format("there is no agent '{}'", id.value()));
}

}  // namespace

absl::Status PgAgentStore::AddJoinToken(const domain::JoinToken& token, const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({token.token_hash, token.created_by, cause.request_id}));
  const absl::Status status = ChangeAudited(
      database_, cause, "create_join_token", "join_token", domain::ShortId(token),
      {{"expires", ToUnixMicros(token.expires_at)}}, [&](Transaction& transaction) -> absl::Status {
        const std::string lifetime =
            fmt::format("for {} us", ToMicros(token.expires_at - token.created_at));
        SLIPWAY_ASSIGN_OR_RETURN(const auto before, ClaimRequest(transaction, cause, "join token",
                                                                 domain::ShortId(token), lifetime));
        if (before) return SecretShownOnce("join token", *before);
        transaction.Run(kAddJoinToken, token.token_hash, ToUnixMicros(token.created_at),
                        token.created_by, ToUnixMicros(token.expires_at));
        return absl::OkStatus();
      });
  if (!GetErrorInfo(status).reason.empty()) return status;
  return ExplainDuplicate(status, "this join token exists already");
}

absl::StatusOr<Page<domain::JoinToken>> PgAgentStore::ListJoinTokens(bool open_only, WallTime now,
                                                                     const PageRequest& page) {
  SLIPWAY_ASSIGN_OR_RETURN(const PageEnd end, ParsePageEnd(page.token, 1));
  Page<domain::JoinToken> tokens;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    const std::int64_t micros = ToUnixMicros(now);
    FillPage(tokens,
             transaction.Run(kJoinTokens, open_only, micros, end.first_page, end.numbers[0],
                             end.text, page.size + 1),
             page.size, JoinTokenFromRow, [](const pqxx::row&, const domain::JoinToken& last) {
               return PageTokenOf({ToUnixMicros(last.created_at)}, domain::ShortId(last));
             });
    tokens.total = transaction.Run(kCountJoinTokens, open_only, micros).at(0)[0].as<std::int64_t>();
    return absl::OkStatus();
  }));
  return tokens;
}

absl::StatusOr<JoinTokenState> PgAgentStore::RevokeJoinToken(const std::string& short_id,
                                                             const Cause& cause) {
  if (!IsStorableText(short_id)) return JoinTokenState::kUnknown;
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({cause.actor}));
  JoinTokenState state = JoinTokenState::kUnknown;
  domain::AuditEntry entry = Entry("revoke_join_token", "join_token", short_id, cause.actor);
  entry.from = cause.from;
  const absl::Status status = database_.Write([&](Transaction& transaction) -> absl::Status {
    SLIPWAY_RETURN_IF_ERROR(CheckCause(database_, transaction, cause, entry));
    const pqxx::result found = transaction.Run(kLockByShortId, short_id);
    if (found.empty()) return absl::OkStatus();
    const domain::JoinToken token = JoinTokenFromRow(found[0]);
    state = domain::StateAt(token, cause.at);
    if (state != JoinTokenState::kOpen) return absl::OkStatus();
    transaction.Run(kRevokeJoinToken, token.token_hash, ToUnixMicros(cause.at), cause.actor);
    AppendAudit(transaction, {entry});
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return state;
}

absl::StatusOr<JoinTokenState> PgAgentStore::Join(const std::string& token_hash,
                                                  const domain::Agent& agent, WallTime now) {
  SLIPWAY_RETURN_IF_ERROR(
      CheckStorable({token_hash, agent.id.value(), agent.name, agent.certificate.fingerprint}));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string labels, LabelsText(agent.labels));
  JoinTokenState state = JoinTokenState::kUnknown;
  const absl::Status status = database_.Write([&](Transaction& transaction) {
    const pqxx::result found = transaction.Run(kLockJoinToken, token_hash);
    if (found.empty()) return absl::OkStatus();
    const domain::JoinToken token = JoinTokenFromRow(found[0]);
    state = domain::StateAt(token, now);
    if (state != JoinTokenState::kOpen) {
      domain::AuditEntry refused = Entry("join", "join_token", domain::ShortId(token), "stranger");
      refused.reason = kBadToken;
      refused.details.emplace_back("name", agent.name);
      refused.details.emplace_back("why", std::string(domain::JoinTokenStateName(state)));
      AppendAudit(transaction, {std::move(refused)});
      return absl::OkStatus();
    }
    transaction.Run(kInsertAgent, agent.id.value(), agent.name, labels,
                    agent.certificate.fingerprint, ToUnixMicros(agent.certificate.not_after),
                    ToUnixMicros(agent.joined_at), ToUnixMicros(agent.last_seen));
    transaction.Run(kUseJoinToken, token_hash, ToUnixMicros(now), agent.id.value());
    domain::AuditEntry entry = Entry("join", "agent", agent.id.value(), Actor(agent.id));
    entry.details = {{"name", agent.name},
                     {"token", domain::ShortId(token)},
                     {"token_by", token.created_by},
                     {"fingerprint", agent.certificate.fingerprint}};
    AppendAudit(transaction, {std::move(entry)});
    return absl::OkStatus();
  });
  SLIPWAY_RETURN_IF_ERROR(
      ExplainDuplicate(status, fmt::format("an agent named '{}' has joined already", agent.name)));
  return state;
}

absl::StatusOr<domain::Agent> PgAgentStore::Get(const AgentId& id) {
  return SelectOne<domain::Agent>(database_, kAgentById, AgentFromRow, id.value(),
                                  fmt::format("agent '{}'", id.value()));
}

absl::StatusOr<std::vector<domain::Agent>> PgAgentStore::List() {
  return Select<domain::Agent>(database_, kAgents, AgentFromRow);
}

absl::Status PgAgentStore::Touch(const Seen& seen, WallTime now) {
  std::string rows = "[";
  for (const auto& [id, labels] : seen) {
    // One agent's odd labels are nobody else's trouble.
    const absl::StatusOr<std::string> text = LabelsText(labels);
    if (!text.ok() || !CheckStorable({id.value()}).ok()) continue;
    if (rows.size() > 1) rows += ',';
    rows += fmt::format(R"({{"id":{},"labels":{}}})",
                        json::serialize(json::value(View(id.value()))), *text);
  }
  rows += ']';
  return database_.Write([&](Transaction& transaction) {
    transaction.Run(kTouchAgents, rows, ToUnixMicros(now));
    return absl::OkStatus();
  });
}

absl::Status PgAgentStore::AddSuccessor(const AgentId& id,
                                        const domain::AgentCertificate& successor, WallTime now) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({id.value(), successor.fingerprint}));
  return database_.Write([&](Transaction& transaction) -> absl::Status {
    const pqxx::result found =
        transaction.Run(kAddSuccessor, id.value(), successor.fingerprint,
                        ToUnixMicros(successor.not_after), ToUnixMicros(now));
    if (found.empty()) return NoAgent(id);
    domain::AuditEntry entry = Entry("renew_certificate", "agent", id.value(), Actor(id));
    entry.details = {{"fingerprint", successor.fingerprint},
                     {"not_after", ToUnixMicros(successor.not_after)}};
    AppendAudit(transaction, {std::move(entry)});
    return absl::OkStatus();
  });
}

absl::Status PgAgentStore::PromoteSuccessor(const AgentId& id, const std::string& fingerprint,
                                            WallTime) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({id.value(), fingerprint}));
  return database_.Write([&](Transaction& transaction) -> absl::Status {
    const pqxx::result found = transaction.Run(kPromoteSuccessor, id.value(), fingerprint);
    if (found.empty()) return NoAgent(id);
    domain::AuditEntry entry = Entry("replace_certificate", "agent", id.value(), Actor(id));
    entry.details = {{"fingerprint", fingerprint}};
    AppendAudit(transaction, {std::move(entry)});
    return absl::OkStatus();
  });
}

}  // namespace slipway::store::pg
