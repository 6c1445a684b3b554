#include "controller/store/pg/pg_catalog_stores.h"

#include <fmt/format.h>

#include "controller/store/pg/audit_chain.h"
#include "controller/store/pg/audit_digest.h"
#include "controller/store/pg/catalog_sql.h"
#include "controller/store/pg/rows.h"

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
constexpr Statement kLockApplication{
    "catalog_lock_application", SLIPWAY_PG_APPLICATION_QUERY "WHERE name = $1 FOR NO KEY UPDATE"};
constexpr Statement kApplicationById{"catalog_application_by_id",
                                     SLIPWAY_PG_APPLICATION_QUERY "WHERE id = $1"};
constexpr Statement kApplications{"catalog_applications",
                                  SLIPWAY_PG_APPLICATION_QUERY "ORDER BY name COLLATE \"C\""};

constexpr Statement kAddToken{"catalog_add_token", R"(
INSERT INTO api_tokens (token_hash, account, admin, created_at)
VALUES ($1, $2, $3, from_micros($4)))"};
constexpr Statement kFindToken{"catalog_find_token",
                               "SELECT account, admin FROM api_tokens WHERE token_hash = $1"};

constexpr Statement kFarmId{"catalog_farm_id", "SELECT id FROM farm"};
constexpr Statement kMakeFarmId{"catalog_make_farm_id", R"(
INSERT INTO farm (id) VALUES ($1) ON CONFLICT DO NOTHING)"};

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

// Called by its name, which is never given to another.
domain::AuditEntry Entry(const char* action, const domain::Application& application,
                         const Cause& cause) {
  domain::AuditEntry entry;
  entry.actor = cause.actor;
  entry.from = cause.from;
  entry.action = action;
  entry.object = "application";
  entry.subject = application.name;
  entry.details.emplace_back("id", application.id.value());
  return entry;
}

}  // namespace

absl::Status PgApplicationStore::Create(const domain::Application& application,
                                        const std::string& from) {
  SLIPWAY_RETURN_IF_ERROR(
      CheckStorable({application.id.value(), application.name, application.repository,
                     application.description, application.created_by}));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string requirements, LabelsText(application.requirements));
  const absl::Status created = database_.Write([&](Transaction& transaction) {
    transaction.Run(kCreateApplication, application.id.value(), application.name,
                    application.repository, application.description, requirements,
                    ToMicros(application.queue_timeout), ToUnixMicros(application.created_at),
                    application.created_by);
    domain::AuditEntry entry = Entry("create_application", application,
                                     {.actor = application.created_by, .at = {}, .from = from});
    entry.after = AuditDigest(application);
    AppendAudit(transaction, {std::move(entry)});
    return absl::OkStatus();
  });
  return ExplainDuplicate(
      created, fmt::format("an application named '{}' exists already", application.name));
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
      const pqxx::result before = transaction.Run(kLockApplication, name);
      if (before.empty()) return absl::OkStatus();
      const pqxx::result after = transaction.Run(
          kUpdateApplication, name, change.description ? change.description->c_str() : nullptr,
          change.requirements ? requirements.c_str() : nullptr,
          change.queue_timeout ? queue_timeout.c_str() : nullptr);
      changed.push_back(ApplicationFromRow(after.at(0)));
      domain::AuditEntry entry = Entry("update_application", changed.front(), change.cause);
      entry.before = AuditDigest(ApplicationFromRow(before[0]));
      entry.after = AuditDigest(changed.front());
      AppendAudit(transaction, {std::move(entry)});
      return absl::OkStatus();
    }));
  }
  if (changed.empty()) {
    return MakeError(absl::StatusCode::kNotFound, "NO_SUCH_APPLICATION",
                     fmt::format("there is no application '{}'", name));
  }
  return std::move(changed.front());
}

absl::StatusOr<domain::Application> PgApplicationStore::GetByName(const std::string& name) {
  return SelectOne<domain::Application>(database_, kApplicationByName, ApplicationFromRow, name,
                                        fmt::format("application '{}'", name),
                                        "NO_SUCH_APPLICATION");
}

absl::StatusOr<domain::Application> PgApplicationStore::Get(const ApplicationId& id) {
  return SelectOne<domain::Application>(database_, kApplicationById, ApplicationFromRow, id.value(),
                                        fmt::format("application with the id '{}'", id.value()),
                                        "NO_SUCH_APPLICATION");
}

absl::StatusOr<std::vector<domain::Application>> PgApplicationStore::List() {
  return Select<domain::Application>(database_, kApplications, ApplicationFromRow);
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
