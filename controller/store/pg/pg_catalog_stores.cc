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
// Lists of all, of what somebody was granted, and of what some ids name: each with how many there
// are in all.
constexpr Statement kApplications{
    "catalog_applications", SLIPWAY_PG_APPLICATION_QUERY
    R"(WHERE name COLLATE "C" > $1 ORDER BY name COLLATE "C" LIMIT $2)"};
constexpr Statement kCountApplications{"catalog_count_applications",
                                       "SELECT count(*) AS total FROM applications"};
constexpr Statement kSeesAll{"catalog_sees_all", R"(
SELECT EXISTS (SELECT FROM held_applications h
                WHERE h.account_id = $1 AND h.application_id IS NULL
                  AND h.operations && $2::text[]) AS every)"};
// The first ones that each holder has hold the first ones of all.
#define SLIPWAY_PG_FIRST_HELD(whose)                                                \
  "SELECT application_id, application_name FROM granted_applications WHERE " whose  \
  " AND application_name > $3 AND bits & (SELECT operation_bits($2::text[])) <> 0 " \
  "ORDER BY application_name LIMIT $4"
constexpr Statement kHeldApplications{
    "catalog_held_applications",
    "WITH page AS (SELECT DISTINCT application_name, application_id FROM "
    "((" SLIPWAY_PG_FIRST_HELD("account_id = $1") R"()
  UNION ALL
  SELECT g.* FROM group_members m CROSS JOIN LATERAL ()" SLIPWAY_PG_FIRST_HELD(
        "group_id = m.group_id") R"() AS g WHERE m.account_id = $1) AS held
 ORDER BY application_name LIMIT $4)
)" SLIPWAY_PG_APPLICATION_QUERY R"(WHERE id IN (SELECT application_id FROM page)
 ORDER BY name COLLATE "C")"};
// Only what comes from several holders can be there twice, and finding that out costs more than
// counting.
constexpr Statement kCountHeld{"catalog_count_held", R"(
SELECT CASE WHEN EXISTS (SELECT FROM group_members m
                           JOIN granted_applications g ON g.group_id = m.group_id
                          WHERE m.account_id = $1 AND g.application_id IS NOT NULL)
            THEN (SELECT count(DISTINCT h.application_id) FROM held_applications h
                   WHERE h.account_id = $1 AND h.application_id IS NOT NULL
                     AND h.operations && $2::text[])
            ELSE (SELECT count(*) FROM granted_applications g
                   WHERE g.account_id = $1 AND g.application_id IS NOT NULL
                     AND g.bits & (SELECT operation_bits($2::text[])) <> 0)
       END AS total)"};
constexpr Statement kSomeApplications{
    "catalog_some_applications", SLIPWAY_PG_APPLICATION_QUERY
    R"(WHERE id = ANY ($1::text[]) AND name COLLATE "C" > $2 ORDER BY name COLLATE "C" LIMIT $3)"};
constexpr Statement kCountSome{
    "catalog_count_some", "SELECT count(*) AS total FROM applications WHERE id = ANY ($1::text[])"};

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

// One more than the page has when there are more.
ApplicationPage ReadPage(Transaction& transaction, const ApplicationFilter& filter) {
  pqxx::result rows;
  pqxx::result count;
  const int most = filter.page_size + 1;
  const std::string& after = filter.page_token;
  const ViewerArguments viewer(filter.viewer);
  if (!filter.viewer.only.empty()) {
    const auto seen = SeenApplications(transaction, filter.viewer, std::nullopt);
    rows = transaction.Run(kSomeApplications, *seen, after, most);
    count = transaction.Run(kCountSome, *seen);
  } else if (!filter.viewer.account ||
             transaction.Run(kSeesAll, viewer.account, viewer.holdable).at(0)[0].as<bool>()) {
    rows = transaction.Run(kApplications, after, most);
    count = transaction.Run(kCountApplications);
  } else {
    rows = transaction.Run(kHeldApplications, viewer.account, viewer.holdable, after, most);
    count = transaction.Run(kCountHeld, viewer.account, viewer.holdable);
  }
  ApplicationPage page;
  page.total = count.at(0)["total"].as<std::int64_t>();
  for (const pqxx::row& row : rows) page.applications.push_back(ApplicationFromRow(row));
  return page;
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
  ApplicationPage page;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    page = ReadPage(transaction, filter);
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
