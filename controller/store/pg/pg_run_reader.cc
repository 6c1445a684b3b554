#include "controller/store/pg/pg_run_reader.h"

#include <fmt/format.h>

#include <optional>

#include "common/status/status.h"
#include "controller/store/pg/page_token.h"
#include "controller/store/pg/rows.h"
#include "controller/store/pg/session.h"
#include "controller/store/pg/viewer_sql.h"

namespace slipway::store::pg {
namespace {

#define SLIPWAY_PG_TASK_SOURCES \
  " FROM tasks t JOIN runs r ON r.id = t.run_id JOIN applications a ON a.id = r.application_id "

constexpr Statement kGetTask{"reader_get_task",
                             "SELECT " SLIPWAY_PG_TASK_COLUMNS
                             ", " SLIPWAY_PG_RUN_COLUMNS SLIPWAY_PG_TASK_SOURCES "WHERE t.id = $1"};
constexpr Statement kImageOf{"reader_image_of",
                             "SELECT media_type, image FROM platform_images WHERE task_id = $1"};
constexpr Statement kScriptOf{"reader_script_of", "SELECT body FROM run_scripts WHERE run_id = $1"};
constexpr Statement kGetRun{"reader_get_run",
                            "SELECT " SLIPWAY_PG_RUN_COLUMNS
                            " FROM runs r JOIN applications a ON a.id = r.application_id "
                            "WHERE r.id = $1"};
constexpr Statement kTasksOfRun{"reader_tasks_of_run",
                                "SELECT " SLIPWAY_PG_TASK_COLUMNS
                                " FROM tasks t WHERE t.run_id = $1 "
                                "ORDER BY t.depends_on IS NOT NULL, t.sequence"};
// The newest rows of `table` in some applications: $1, their ids; $2, the sequence to begin below;
// $3, how many at most. They are of no more applications than they are many, which are those whose
// newest row is the newest: so neither the length of the table nor that of an application's part
// matters, and of how many applications one look-up each.
#define SLIPWAY_PG_NEWEST(table, condition)                                          \
  "WITH newest AS (SELECT seen.id FROM unnest($1::text[]) AS seen(id) "              \
  "CROSS JOIN LATERAL (SELECT n.sequence FROM " table                                \
  " n WHERE n.application_id = seen.id AND n.sequence < $2 AND " condition           \
  " ORDER BY n.sequence DESC LIMIT 1) AS top ORDER BY top.sequence DESC LIMIT $3), " \
  "page AS (SELECT own.sequence FROM newest "                                        \
  "CROSS JOIN LATERAL (SELECT n.sequence FROM " table                                \
  " n WHERE n.application_id = newest.id AND n.sequence < $2 AND " condition         \
  " ORDER BY n.sequence DESC LIMIT $3) AS own ORDER BY own.sequence DESC LIMIT $3) "

#define SLIPWAY_PG_IN_STATES(task) "($4::text[] = '{}' OR " task ".state = ANY ($4::text[]))"
// Each takes $2, the sequence to begin below; $3, how many; $4, states.
constexpr Statement kListTasks{
    "reader_list_tasks",
    "SELECT " SLIPWAY_PG_TASK_COLUMNS ", " SLIPWAY_PG_RUN_COLUMNS SLIPWAY_PG_TASK_SOURCES
    "WHERE $1::text[] IS NULL AND t.sequence < $2 AND " SLIPWAY_PG_IN_STATES(
        "t") " ORDER BY t.sequence DESC LIMIT $3"};
constexpr Statement kListTasksOfSome{
    "reader_list_tasks_of_some",
    SLIPWAY_PG_NEWEST("tasks", SLIPWAY_PG_IN_STATES("n")) "SELECT " SLIPWAY_PG_TASK_COLUMNS
                                                          ", " SLIPWAY_PG_RUN_COLUMNS R"(
  FROM page p
 CROSS JOIN LATERAL (SELECT * FROM tasks WHERE sequence = p.sequence OFFSET 0) AS t
 CROSS JOIN LATERAL (SELECT * FROM runs WHERE id = t.run_id OFFSET 0) AS r
  JOIN applications a ON a.id = r.application_id
 ORDER BY t.sequence DESC)"};
constexpr Statement kListTasksOfRun{"reader_list_tasks_of_run",
                                    "SELECT " SLIPWAY_PG_TASK_COLUMNS
                                    ", " SLIPWAY_PG_RUN_COLUMNS SLIPWAY_PG_TASK_SOURCES
                                    "WHERE t.run_id = $5 AND t.sequence < $2 AND "
                                    SLIPWAY_PG_IN_STATES("t")
                                    " AND ($1::text[] IS NULL OR t.application_id = ANY "
                                    "($1::text[])) ORDER BY t.sequence DESC LIMIT $3"};
constexpr Statement kListSteps{"reader_list_steps", R"(
SELECT task_id, attempt, number, name, state, to_micros(started_at) AS started_at,
       to_micros(finished_at) AS finished_at, detail
  FROM steps
 WHERE task_id = $1
 ORDER BY attempt, number)"};

#define SLIPWAY_PG_RELEASE_QUERY                                                           \
  "SELECT l.id, l.sequence, l.run_id, l.publish_task, l.build_task, l.application_id, "    \
  "a.name AS application_name, l.platform, l.target, l.version, l.commit_id, l.manifest, " \
  "l.link, l.qr_text, to_micros(l.released_at) AS released_at, l.released_by "             \
  "FROM releases l JOIN applications a ON a.id = l.application_id "

constexpr Statement kGetRelease{"reader_get_release", SLIPWAY_PG_RELEASE_QUERY "WHERE l.id = $1"};
constexpr Statement kReleaseOfTask{"reader_release_of_task",
                                   SLIPWAY_PG_RELEASE_QUERY "WHERE l.publish_task = $1"};
constexpr Statement kReleaseOfBuild{"reader_release_of_build", SLIPWAY_PG_RELEASE_QUERY
                                    "WHERE l.build_task = $1 ORDER BY l.sequence DESC LIMIT 1"};
constexpr Statement kResolutionOf{"reader_resolution_of", R"(
SELECT verdict, resolved_by, to_micros(resolved_at) AS resolved_at,
       coalesce(probe_task, '') AS probe_task, reason, late_result
  FROM publish_resolutions
 WHERE task_id = $1)"};
constexpr Statement kResolutionsOf{"reader_resolutions_of", R"(
SELECT task_id, verdict, resolved_by, to_micros(resolved_at) AS resolved_at,
       coalesce(probe_task, '') AS probe_task, reason, late_result
  FROM publish_resolutions
 WHERE task_id = ANY ($1::text[]))"};
constexpr Statement kListReleases{"reader_list_releases", SLIPWAY_PG_RELEASE_QUERY R"(
 WHERE $1::text[] IS NULL AND l.sequence < $2 AND ($4 = '' OR l.platform = $4)
 ORDER BY l.sequence DESC
 LIMIT $3)"};
constexpr Statement kListReleasesOfSome{
    "reader_list_releases_of_some",
    SLIPWAY_PG_NEWEST("releases", "($4 = '' OR n.platform = $4)") SLIPWAY_PG_RELEASE_QUERY
    "WHERE l.sequence = ANY (ARRAY(SELECT sequence FROM page)) ORDER BY l.sequence DESC"};

constexpr Statement kBuiltOf{"reader_built_of", R"(
SELECT b.application_id, b.commit_id, b.platform, b.task_id, t.run_id,
       coalesce(t.result -> 'build' ->> 'version', '') AS version,
       coalesce(to_micros(t.finished_at), 0) AS finished_at
  FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[])) AS w(application_id, commit_id)
 -- Looked up, however small the table was when this was planned.
 CROSS JOIN LATERAL (SELECT * FROM built_commits
                      WHERE application_id = w.application_id AND commit_id = w.commit_id
                     OFFSET 0) AS b
  JOIN tasks t ON t.id = b.task_id
 WHERE )" SLIPWAY_PG_VISIBLE("b.application_id", "$3", "$4", "$5") R"(
 ORDER BY b.application_id, b.commit_id, b.platform)"};

// What a lookup is for, and the reason when there is none.
struct Kind {
  std::string_view what;
  std::string_view reason;
};
constexpr Kind kTask = {"task", "NO_SUCH_TASK"};
constexpr Kind kRun = {"run", "NO_SUCH_RUN"};
constexpr Kind kRelease = {"release", "NO_SUCH_PRODUCT"};
constexpr Kind kReleaseByTask = {"release by the task", "NO_SUCH_PRODUCT"};
constexpr Kind kImage = {"image of the task", "NO_CODE"};
constexpr Kind kResolution = {"resolution of the task", "NO_SUCH_TASK"};

absl::Status CheckPageSize(int size) {
  if (size >= 1 && size <= 1000) return absl::OkStatus();
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_PAGE_SIZE",
                   fmt::format("a page has 1 to 1000 rows, not {}", size));
}

// The rows that one text finds; a text that cannot be stored finds none.
template <typename Value, typename FromRow>
absl::StatusOr<std::vector<Value>> FindAll(Database& database, const Statement& statement,
                                           const std::string& key, FromRow from_row) {
  std::vector<Value> values;
  if (!IsStorableText(key)) return values;
  SLIPWAY_RETURN_IF_ERROR(database.Read([&](Transaction& transaction) {
    for (const pqxx::row& row : transaction.Run(statement, key)) values.push_back(from_row(row));
    return absl::OkStatus();
  }));
  return values;
}

template <typename Value, typename FromRow>
absl::StatusOr<Value> FindOne(Database& database, const Statement& statement,
                              const std::string& key, const Kind& kind, FromRow from_row) {
  SLIPWAY_ASSIGN_OR_RETURN(std::vector<Value> found,
                           FindAll<Value>(database, statement, key, from_row));
  if (found.empty()) {
    return MakeError(absl::StatusCode::kNotFound, kind.reason,
                     fmt::format("there is no {} '{}'", kind.what, key));
  }
  return std::move(found.front());
}

TaskWithRun TaskWithRunFromRow(const pqxx::row& row) {
  return {.task = TaskFromRow(row), .run = RunFromRow(row)};
}

// Moves the row that was read beyond a full page into a token.
template <typename Value>
std::string CutToPage(std::vector<Value>& values, const std::vector<std::int64_t>& sequences,
                      int page_size) {
  const auto size = static_cast<std::size_t>(page_size);
  if (values.size() <= size) return "";
  values.resize(size);
  return fmt::format("{}", sequences[size - 1]);
}

}  // namespace

absl::StatusOr<TaskWithRun> PgRunReader::GetTask(const TaskId& id) {
  return FindOne<TaskWithRun>(database_, kGetTask, id.value(), kTask, TaskWithRunFromRow);
}

absl::StatusOr<PlatformImage> PgRunReader::ImageOf(const TaskId& id) {
  return FindOne<PlatformImage>(database_, kImageOf, id.value(), kImage, [](const pqxx::row& row) {
    return PlatformImage{row["media_type"].as<std::string>(),
                         pqxx::binarystring(row["image"]).str()};
  });
}

absl::StatusOr<std::string> PgRunReader::ScriptOf(const RunId& id) {
  return FindOne<std::string>(database_, kScriptOf, id.value(), kRun, [](const pqxx::row& row) {
    return pqxx::binarystring(row["body"]).str();
  });
}

absl::StatusOr<domain::Run> PgRunReader::GetRun(const RunId& id) {
  return FindOne<domain::Run>(database_, kGetRun, id.value(), kRun, RunFromRow);
}

absl::StatusOr<std::vector<domain::Task>> PgRunReader::TasksOfRun(const RunId& id) {
  SLIPWAY_RETURN_IF_ERROR(GetRun(id).status());
  return FindAll<domain::Task>(database_, kTasksOfRun, id.value(), TaskFromRow);
}

absl::StatusOr<TaskPage> PgRunReader::ListTasks(const TaskFilter& filter) {
  SLIPWAY_RETURN_IF_ERROR(CheckPageSize(filter.page_size));
  SLIPWAY_ASSIGN_OR_RETURN(const std::int64_t below, ParsePageToken(filter.page_token));
  TaskPage page;
  if ((filter.run && !IsStorableText(filter.run->value())) ||
      (filter.application && !IsStorableText(filter.application->value()))) {
    return page;
  }
  std::string states = "{";
  for (const domain::TaskState state : filter.states) {
    if (states.size() > 1) states += ',';
    states += domain::TaskStateName(state);
  }
  states += '}';
  std::vector<std::int64_t> sequences;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    const auto seen = SeenApplications(transaction, filter.viewer, filter.application);
    if (seen && *seen == kNoApplications) return absl::OkStatus();
    const char* ids = seen ? seen->c_str() : nullptr;
    const int most = filter.page_size + 1;
    const pqxx::result rows =
        filter.run
            ? transaction.Run(kListTasksOfRun, ids, below, most, states, filter.run->value())
            : transaction.Run(seen ? kListTasksOfSome : kListTasks, ids, below, most, states);
    for (const pqxx::row& row : rows) {
      page.tasks.push_back(TaskWithRunFromRow(row));
      sequences.push_back(row["t_sequence"].as<std::int64_t>());
    }
    return absl::OkStatus();
  }));
  page.next_page_token = CutToPage(page.tasks, sequences, filter.page_size);
  return page;
}

absl::StatusOr<std::vector<domain::Step>> PgRunReader::ListSteps(const TaskId& id) {
  SLIPWAY_RETURN_IF_ERROR(GetTask(id).status());
  return FindAll<domain::Step>(database_, kListSteps, id.value(), StepFromRow);
}

absl::StatusOr<domain::Release> PgRunReader::GetRelease(const ReleaseId& id) {
  return FindOne<domain::Release>(database_, kGetRelease, id.value(), kRelease, ReleaseFromRow);
}

absl::StatusOr<domain::Release> PgRunReader::ReleaseOfTask(const TaskId& publish_task) {
  return FindOne<domain::Release>(database_, kReleaseOfTask, publish_task.value(), kReleaseByTask,
                                  ReleaseFromRow);
}

absl::StatusOr<domain::Release> PgRunReader::ReleaseOfBuild(const TaskId& build) {
  return FindOne<domain::Release>(database_, kReleaseOfBuild, build.value(), kReleaseByTask,
                                  ReleaseFromRow);
}

absl::StatusOr<domain::Resolution> PgRunReader::ResolutionOf(const TaskId& publish_task) {
  return FindOne<domain::Resolution>(database_, kResolutionOf, publish_task.value(), kResolution,
                                     ResolutionFromRow);
}

absl::StatusOr<std::map<TaskId, domain::Resolution>> PgRunReader::ResolutionsOf(
    const std::vector<TaskId>& publish_tasks) {
  std::vector<std::string> ids;
  for (const TaskId& task : publish_tasks) ids.push_back(task.value());
  using Row = std::pair<TaskId, domain::Resolution>;
  SLIPWAY_ASSIGN_OR_RETURN(
      const auto found,
      FindAll<Row>(database_, kResolutionsOf, TextArray(ids), [](const pqxx::row& row) {
        return Row(TaskId(row["task_id"].as<std::string>()), ResolutionFromRow(row));
      }));
  return std::map<TaskId, domain::Resolution>(found.begin(), found.end());
}

absl::StatusOr<ReleasePage> PgRunReader::ListReleases(const ReleaseFilter& filter) {
  SLIPWAY_RETURN_IF_ERROR(CheckPageSize(filter.page_size));
  SLIPWAY_ASSIGN_OR_RETURN(const std::int64_t below, ParsePageToken(filter.page_token));
  ReleasePage page;
  if (!IsStorableText(filter.platform) ||
      (filter.application && !IsStorableText(filter.application->value()))) {
    return page;
  }
  std::vector<std::int64_t> sequences;
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    const auto seen = SeenApplications(transaction, filter.viewer, filter.application);
    if (seen && *seen == kNoApplications) return absl::OkStatus();
    for (const pqxx::row& row :
         transaction.Run(seen ? kListReleasesOfSome : kListReleases, seen ? seen->c_str() : nullptr,
                         below, filter.page_size + 1, filter.platform)) {
      page.releases.push_back(ReleaseFromRow(row));
      sequences.push_back(row["sequence"].as<std::int64_t>());
    }
    return absl::OkStatus();
  }));
  page.next_page_token = CutToPage(page.releases, sequences, filter.page_size);
  return page;
}

absl::StatusOr<std::vector<BuiltCommit>> PgRunReader::BuiltOf(
    const Viewer& viewer, const std::vector<CommitOfApplication>& commits) {
  std::vector<BuiltCommit> built;
  std::vector<std::string> applications;
  std::vector<std::string> ids;
  for (const CommitOfApplication& wanted : commits) {
    if (!IsStorableText(wanted.application.value()) || !IsStorableText(wanted.commit)) continue;
    applications.push_back(wanted.application.value());
    ids.push_back(wanted.commit);
  }
  if (ids.empty()) return built;
  const ViewerArguments arguments(viewer);
  SLIPWAY_RETURN_IF_ERROR(database_.Read([&](Transaction& transaction) {
    for (const pqxx::row& row :
         transaction.Run(kBuiltOf, TextArray(applications), TextArray(ids), arguments.account,
                         arguments.holdable, arguments.only)) {
      built.push_back({.application = ApplicationId(row["application_id"].as<std::string>()),
                       .commit = row["commit_id"].as<std::string>(),
                       .platform = row["platform"].as<std::string>(),
                       .task = TaskId(row["task_id"].as<std::string>()),
                       .run = RunId(row["run_id"].as<std::string>()),
                       .version = row["version"].as<std::string>(),
                       .built_at = FromUnixMicros(row["finished_at"].as<std::int64_t>())});
    }
    return absl::OkStatus();
  }));
  return built;
}

}  // namespace slipway::store::pg
