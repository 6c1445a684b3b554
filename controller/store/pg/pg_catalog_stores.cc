#include "controller/store/pg/pg_catalog_stores.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <initializer_list>

#include "common/status/status.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/session.h"

namespace slipway::store::pg {
namespace {

constexpr Statement kCreateApplication{"catalog_create_application", R"(
INSERT INTO applications (id, name, repository, description, requirements, queue_timeout,
                          created_at, created_by)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, from_micros($7), $8))"};

#define SLIPWAY_PG_APPLICATION_COLUMNS                               \
  "id, name, repository, description, requirements, queue_timeout, " \
  "to_micros(created_at) AS created_at, created_by "
#define SLIPWAY_PG_APPLICATION_QUERY "SELECT " SLIPWAY_PG_APPLICATION_COLUMNS "FROM applications "
// NULL: stays.
constexpr Statement kUpdateApplication{"catalog_update_application", R"(
UPDATE applications
   SET description = coalesce($2::text, description),
       requirements = coalesce($3::jsonb, requirements),
       queue_timeout = coalesce($4::bigint, queue_timeout)
 WHERE name = $1
RETURNING )" SLIPWAY_PG_APPLICATION_COLUMNS};
constexpr Statement kApplicationByName{"catalog_application_by_name",
                                       SLIPWAY_PG_APPLICATION_QUERY "WHERE name = $1"};
constexpr Statement kApplicationById{"catalog_application_by_id",
                                     SLIPWAY_PG_APPLICATION_QUERY "WHERE id = $1"};
constexpr Statement kApplications{"catalog_applications",
                                  SLIPWAY_PG_APPLICATION_QUERY "ORDER BY name COLLATE \"C\""};

constexpr Statement kAddJoinToken{"catalog_add_join_token", R"(
INSERT INTO join_tokens (token_hash, created_at, created_by, expires_at)
VALUES ($1, from_micros($2), $3, from_micros($4)))"};
// The token is used up and the agent inserted, or neither.
constexpr Statement kJoin{"catalog_join", R"(
WITH token AS (
  UPDATE join_tokens
     SET used_at = from_micros($2), used_by = $3
   WHERE token_hash = $1 AND used_at IS NULL AND expires_at > from_micros($2)
  RETURNING 1
), agent AS (
  INSERT INTO agents (id, name, labels, certificate_fingerprint, certificate_not_after, joined_at,
                      last_seen, revoked)
  SELECT $3, $4, $5::jsonb, $6, from_micros($7), from_micros($8), from_micros($9), $10 FROM token
)
SELECT 1 FROM token)"};

#define SLIPWAY_PG_AGENT_QUERY                                  \
  "SELECT id, name, labels, certificate_fingerprint, "          \
  "to_micros(certificate_not_after) AS certificate_not_after, " \
  "to_micros(joined_at) AS joined_at, to_micros(last_seen) AS last_seen, revoked FROM agents "
constexpr Statement kAgentById{"catalog_agent_by_id", SLIPWAY_PG_AGENT_QUERY "WHERE id = $1"};
constexpr Statement kAgents{"catalog_agents", SLIPWAY_PG_AGENT_QUERY "ORDER BY name COLLATE \"C\""};
constexpr Statement kTouchAgent{
    "catalog_touch_agent",
    "UPDATE agents SET labels = $2::jsonb, last_seen = from_micros($3) WHERE id = $1 RETURNING 1"};

constexpr Statement kAddToken{"catalog_add_token", R"(
INSERT INTO api_tokens (token_hash, account, admin, created_at)
VALUES ($1, $2, $3, from_micros($4)))"};
constexpr Statement kFindToken{"catalog_find_token",
                               "SELECT account, admin FROM api_tokens WHERE token_hash = $1"};

constexpr Statement kFarmId{"catalog_farm_id", "SELECT id FROM farm"};
constexpr Statement kMakeFarmId{"catalog_make_farm_id", R"(
INSERT INTO farm (id) VALUES ($1) ON CONFLICT DO NOTHING)"};

absl::Status CheckStorable(std::initializer_list<std::string_view> texts) {
  for (const std::string_view text : texts) {
    if (!IsStorableText(text)) {
      return MakeError(absl::StatusCode::kInvalidArgument, "BAD_TEXT",
                       "a text holds a NUL byte or bytes that are no UTF-8", "Send text in UTF-8.");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> LabelsText(const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : labels) SLIPWAY_RETURN_IF_ERROR(CheckStorable({key, value}));
  return std::string(boost::json::serialize(LabelsToJson(labels)));
}

// Says in the caller's words what a unique constraint said in the table's.
absl::Status ExplainDuplicate(const absl::Status& status, std::string_view message) {
  return absl::IsAlreadyExists(status)
             ? absl::AlreadyExistsError(absl::string_view(message.data(), message.size()))
             : status;
}

domain::Application ApplicationFromRow(const pqxx::row& row) {
  return {.id = ApplicationId(row["id"].as<std::string>()),
          .name = row["name"].as<std::string>(),
          .repository = row["repository"].as<std::string>(),
          .description = row["description"].as<std::string>(),
          .requirements = LabelsFromJson(row["requirements"].as<std::string>()),
          .queue_timeout = SpanOf(row["queue_timeout"]),
          .created_at = TimeOf(row["created_at"]),
          .created_by = row["created_by"].as<std::string>()};
}

domain::Agent AgentFromRow(const pqxx::row& row) {
  return {.id = AgentId(row["id"].as<std::string>()),
          .name = row["name"].as<std::string>(),
          .labels = LabelsFromJson(row["labels"].as<std::string>()),
          .certificate_fingerprint = row["certificate_fingerprint"].as<std::string>(),
          .certificate_not_after = TimeOf(row["certificate_not_after"]),
          .joined_at = TimeOf(row["joined_at"]),
          .last_seen = TimeOf(row["last_seen"]),
          .revoked = row["revoked"].as<bool>()};
}

template <typename Value, typename FromRow, typename... Arguments>
absl::StatusOr<std::vector<Value>> Select(Database& database, const Statement& statement,
                                          FromRow from_row, const Arguments&... arguments) {
  std::vector<Value> values;
  SLIPWAY_RETURN_IF_ERROR(database.Read([&](Transaction& transaction) {
    for (const pqxx::row& row : transaction.Run(statement, arguments...)) {
      values.push_back(from_row(row));
    }
    return absl::OkStatus();
  }));
  return values;
}

template <typename Value, typename FromRow>
absl::StatusOr<Value> SelectOne(Database& database, const Statement& statement, FromRow from_row,
                                const std::string& key, std::string_view what) {
  std::vector<Value> found;
  if (IsStorableText(key)) {
    SLIPWAY_ASSIGN_OR_RETURN(found, Select<Value>(database, statement, from_row, key));
  }
  if (found.empty()) return absl::NotFoundError(fmt::format("there is no {}", what));
  return std::move(found.front());
}

template <typename... Arguments>
absl::Status Execute(Database& database, const Statement& statement,
                     const Arguments&... arguments) {
  return database.Write([&](Transaction& transaction) {
    transaction.Run(statement, arguments...);
    return absl::OkStatus();
  });
}

}  // namespace

absl::Status PgApplicationStore::Create(const domain::Application& application) {
  SLIPWAY_RETURN_IF_ERROR(
      CheckStorable({application.id.value(), application.name, application.repository,
                     application.description, application.created_by}));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string requirements, LabelsText(application.requirements));
  return ExplainDuplicate(
      Execute(database_, kCreateApplication, application.id.value(), application.name,
              application.repository, application.description, requirements,
              ToMicros(application.queue_timeout), ToUnixMicros(application.created_at),
              application.created_by),
      fmt::format("an application named '{}' exists already", application.name));
}

absl::StatusOr<domain::Application> PgApplicationStore::Update(const std::string& name,
                                                               const ApplicationChange& change) {
  std::string requirements;
  if (change.description) SLIPWAY_RETURN_IF_ERROR(CheckStorable({*change.description}));
  if (change.requirements) {
    SLIPWAY_ASSIGN_OR_RETURN(requirements, LabelsText(*change.requirements));
  }
  const std::string queue_timeout =
      change.queue_timeout ? fmt::format("{}", ToMicros(*change.queue_timeout)) : "";
  std::vector<domain::Application> changed;
  if (IsStorableText(name)) {
    SLIPWAY_RETURN_IF_ERROR(database_.Write([&](Transaction& transaction) {
      changed.clear();
      for (const pqxx::row& row : transaction.Run(
               kUpdateApplication, name, change.description ? change.description->c_str() : nullptr,
               change.requirements ? requirements.c_str() : nullptr,
               change.queue_timeout ? queue_timeout.c_str() : nullptr)) {
        changed.push_back(ApplicationFromRow(row));
      }
      return absl::OkStatus();
    }));
  }
  if (changed.empty())
    return absl::NotFoundError(fmt::format("there is no application '{}'", name));
  return std::move(changed.front());
}

absl::StatusOr<domain::Application> PgApplicationStore::GetByName(const std::string& name) {
  return SelectOne<domain::Application>(database_, kApplicationByName, ApplicationFromRow, name,
                                        fmt::format("application '{}'", name));
}

absl::StatusOr<domain::Application> PgApplicationStore::Get(const ApplicationId& id) {
  return SelectOne<domain::Application>(database_, kApplicationById, ApplicationFromRow, id.value(),
                                        fmt::format("application with the id '{}'", id.value()));
}

absl::StatusOr<std::vector<domain::Application>> PgApplicationStore::List() {
  return Select<domain::Application>(database_, kApplications, ApplicationFromRow);
}

absl::Status PgAgentStore::AddJoinToken(const domain::JoinToken& token) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({token.token_hash, token.created_by}));
  return ExplainDuplicate(
      Execute(database_, kAddJoinToken, token.token_hash, ToUnixMicros(token.created_at),
              token.created_by, ToUnixMicros(token.expires_at)),
      "this join token exists already");
}

absl::Status PgAgentStore::Join(const std::string& token_hash, const domain::Agent& agent,
                                WallTime now) {
  SLIPWAY_RETURN_IF_ERROR(
      CheckStorable({token_hash, agent.id.value(), agent.name, agent.certificate_fingerprint}));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string labels, LabelsText(agent.labels));
  const absl::Status status = database_.Write([&](Transaction& transaction) -> absl::Status {
    const pqxx::result used = transaction.Run(
        kJoin, token_hash, ToUnixMicros(now), agent.id.value(), agent.name, labels,
        agent.certificate_fingerprint, ToUnixMicros(agent.certificate_not_after),
        ToUnixMicros(agent.joined_at), ToUnixMicros(agent.last_seen), agent.revoked);
    if (!used.empty()) return absl::OkStatus();
    return MakeError(absl::StatusCode::kPermissionDenied, "BAD_TOKEN",
                     "the join token is not valid: unknown, used already or expired",
                     "Ask an administrator for a new one.");
  });
  return ExplainDuplicate(status,
                          fmt::format("an agent named '{}' has joined already", agent.name));
}

absl::StatusOr<domain::Agent> PgAgentStore::Get(const AgentId& id) {
  return SelectOne<domain::Agent>(database_, kAgentById, AgentFromRow, id.value(),
                                  fmt::format("agent '{}'", id.value()));
}

absl::StatusOr<std::vector<domain::Agent>> PgAgentStore::List() {
  return Select<domain::Agent>(database_, kAgents, AgentFromRow);
}

absl::Status PgAgentStore::Touch(const AgentId& id,
                                 const std::map<std::string, std::string>& labels, WallTime now) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({id.value()}));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string text, LabelsText(labels));
  return database_.Write([&](Transaction& transaction) -> absl::Status {
    if (transaction.Run(kTouchAgent, id.value(), text, ToUnixMicros(now)).empty()) {
      return absl::NotFoundError(fmt::format("there is no agent '{}'", id.value()));
    }
    return absl::OkStatus();
  });
}

absl::Status PgTokenStore::Add(const std::string& token_hash, const domain::Account& account,
                               WallTime now) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({token_hash, account.name}));
  return ExplainDuplicate(
      Execute(database_, kAddToken, token_hash, account.name, account.admin, ToUnixMicros(now)),
      "this API token exists already");
}

absl::StatusOr<domain::Account> PgTokenStore::Find(const std::string& token_hash) {
  return SelectOne<domain::Account>(
      database_, kFindToken,
      [](const pqxx::row& row) {
        return domain::Account{.name = row["account"].as<std::string>(),
                               .admin = row["admin"].as<bool>()};
      },
      token_hash, "such API token");
}

absl::StatusOr<FarmId> PgFarmStore::GetOrCreateFarmId() {
  const auto read = [&] {
    return Select<FarmId>(database_, kFarmId,
                          [](const pqxx::row& row) { return FarmId(row["id"].as<std::string>()); });
  };
  SLIPWAY_ASSIGN_OR_RETURN(std::vector<FarmId> found, read());
  if (found.empty()) {
    SLIPWAY_RETURN_IF_ERROR(Execute(database_, kMakeFarmId, NewId("farm-")));
    SLIPWAY_ASSIGN_OR_RETURN(found, read());
  }
  if (found.empty()) return absl::InternalError("the farm's id was not stored");
  return found.front();
}

}  // namespace slipway::store::pg
