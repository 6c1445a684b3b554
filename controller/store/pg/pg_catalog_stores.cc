#include "controller/store/pg/pg_catalog_stores.h"

#include <fmt/format.h>

#include "controller/store/pg/access_sql.h"
#include "controller/store/pg/audit_digest.h"
#include "controller/store/pg/catalog_sql.h"
#include "controller/store/pg/creation_request.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/viewer_sql.h"

namespace slipway::store::pg {
namespace {

#define SLIPWAY_PG_APPLICATION_COLUMNS                               \
  "id, name, repository, description, requirements, queue_timeout, " \
  "to_micros(created_at) AS created_at, created_by, revision "
constexpr Statement kCreateApplication{"catalog_create_application", R"(
INSERT INTO applications (id, name, repository, description, requirements, queue_timeout,
                          created_at, created_by)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, from_micros($7), $8)
ON CONFLICT (name) DO NOTHING
RETURNING )" SLIPWAY_PG_APPLICATION_COLUMNS};
#define SLIPWAY_PG_APPLICATION_QUERY "SELECT " SLIPWAY_PG_APPLICATION_COLUMNS "FROM applications "
// NULL: stays.
constexpr Statement kUpdateApplication{"catalog_update_application", R"(
UPDATE applications
   SET description = coalesce($2::text, description),
       requirements = coalesce($3::jsonb, requirements),
       queue_timeout = coalesce($4::bigint, queue_timeout),
       repository = coalesce($5::text, repository),
       revision = nextval('catalog_revisions')
 WHERE name = $1
RETURNING )" SLIPWAY_PG_APPLICATION_COLUMNS};
constexpr Statement kApplicationByName{"catalog_application_by_name",
                                       SLIPWAY_PG_APPLICATION_QUERY "WHERE name = $1"};
constexpr Statement kLockApplication{
    "catalog_lock_application", SLIPWAY_PG_APPLICATION_QUERY "WHERE name = $1 FOR NO KEY UPDATE"};
constexpr Statement kApplicationById{"catalog_application_by_id",
                                     SLIPWAY_PG_APPLICATION_QUERY "WHERE id = $1"};
// How many there are is asked with each page, in the same look at the table.
constexpr Statement kApplications{
    "catalog_applications",
    "WITH seen AS MATERIALIZED (SELECT id, name FROM applications WHERE" SLIPWAY_PG_VISIBLE(
        "id", "$1", "$2", "$3") R"(), page AS (
SELECT id FROM seen WHERE name COLLATE "C" > $4 ORDER BY name COLLATE "C" LIMIT $5)
SELECT s.total, a.* FROM (SELECT count(*) AS total FROM seen) AS s
  LEFT JOIN ()" SLIPWAY_PG_APPLICATION_QUERY R"(WHERE id IN (SELECT id FROM page)) AS a ON true
 ORDER BY a.name COLLATE "C")"};

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
          .created_by = row["created_by"].as<std::string>(),
          .revision = row["revision"].as<std::int64_t>()};
}

// What was wished, whoever made it when.
std::string ContentsOf(domain::Application application) {
  application.id = {};
  application.created_at = {};
  application.created_by.clear();
  return AuditDigest(application);
}

}  // namespace

absl::StatusOr<domain::Application> PgApplicationStore::Create(
    const domain::Application& application, const Cause& cause) {
  SLIPWAY_RETURN_IF_ERROR(
      CheckStorable({application.id.value(), application.name, application.repository,
                     application.description, application.created_by, cause.request_id}));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string requirements, LabelsText(application.requirements));
  std::optional<domain::Application> stored;
  const absl::Status status = ChangeAudited(
      database_, cause, "create_application", "application", application.name,
      {{"id", application.id.value()}},
      [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        SLIPWAY_ASSIGN_OR_RETURN(const auto before,
                                 ClaimRequest(transaction, cause, "application", application.name,
                                              ContentsOf(application)));
        if (before) {
          entry.action.clear();
          stored = ApplicationFromRow(transaction.Run(kApplicationByName, *before).at(0));
          return absl::OkStatus();
        }
        const pqxx::result rows = transaction.Run(
            kCreateApplication, application.id.value(), application.name, application.repository,
            application.description, requirements, ToMicros(application.queue_timeout),
            ToUnixMicros(application.created_at), application.created_by);
        if (rows.empty()) {
          return MakeError(absl::StatusCode::kAlreadyExists, "APPLICATION_EXISTS",
                           fmt::format("there is an application '{}' already", application.name));
        }
        stored = ApplicationFromRow(rows[0]);
        entry.after = AuditDigest(*stored);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return *std::move(stored);
}

absl::StatusOr<domain::Application> PgApplicationStore::Update(const std::string& name,
                                                               const ApplicationChange& change,
                                                               const Cause& cause) {
  if (!IsStorableText(name)) return NoSuch("NO_SUCH_APPLICATION", "application", "");
  std::string requirements;
  if (change.description) SLIPWAY_RETURN_IF_ERROR(CheckStorable({*change.description}));
  if (change.repository) SLIPWAY_RETURN_IF_ERROR(CheckStorable({*change.repository}));
  if (change.requirements) {
    SLIPWAY_ASSIGN_OR_RETURN(requirements, LabelsText(*change.requirements));
  }
  const std::string queue_timeout =
      change.queue_timeout ? fmt::format("{}", ToMicros(*change.queue_timeout)) : "";
  std::optional<domain::Application> changed;
  const absl::Status status = ChangeAudited(
      database_, cause, "update_application", "application", name, {},
      [&](Transaction& transaction, domain::AuditEntry& entry) -> absl::Status {
        const pqxx::result before = transaction.Run(kLockApplication, name);
        if (before.empty()) return NoSuch("NO_SUCH_APPLICATION", "application", name);
        SLIPWAY_RETURN_IF_ERROR(CheckRevision(change.revision,
                                              before[0]["revision"].as<std::int64_t>(),
                                              fmt::format("application '{}'", name)));
        const pqxx::result rows = transaction.Run(
            kUpdateApplication, name, change.description ? change.description->c_str() : nullptr,
            change.requirements ? requirements.c_str() : nullptr,
            change.queue_timeout ? queue_timeout.c_str() : nullptr,
            change.repository ? change.repository->c_str() : nullptr);
        changed = ApplicationFromRow(rows.at(0));
        entry.before = AuditDigest(ApplicationFromRow(before[0]));
        entry.after = AuditDigest(*changed);
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return *std::move(changed);
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

absl::StatusOr<ApplicationPage> PgApplicationStore::List(const ApplicationFilter& filter) {
  SLIPWAY_RETURN_IF_ERROR(CheckStorable({filter.page_token}));
  const ViewerArguments viewer(filter.viewer);
  ApplicationPage page;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    for (const pqxx::row& row :
         transaction.Run(kApplications, viewer.account, viewer.holdable, viewer.only,
                         filter.page_token, filter.page_size + 1)) {
      page.total = row["total"].as<std::int64_t>();
      if (!row["id"].is_null()) page.applications.push_back(ApplicationFromRow(row));
    }
    return absl::OkStatus();
  }));
  if (page.applications.size() > static_cast<std::size_t>(filter.page_size)) {
    page.applications.pop_back();
    page.next_page_token = page.applications.back().name;
  }
  return page;
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
