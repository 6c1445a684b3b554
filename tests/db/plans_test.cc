#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "controller/store/changes.h"
#include "controller/store/pg/pg_catalog_stores.h"
#include "controller/store/pg/pg_scheduler_store.h"
#include "controller/store/pg/session.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/status_matchers.h"

namespace slipway::store::pg {
namespace {

using testing::PostgresFixture;
using testing::RunSql;
using testing::TestDatabaseOptions;

constexpr int kRounds = 7;  // from the sixth on PostgreSQL keeps one plan for a prepared statement

Cause By(std::string actor) { return {std::move(actor), FromUnixMicros(1'800'000'000'000'000)}; }

AttemptKey KeyOf(int i) { return {TaskId("task-" + std::to_string(i)), Attempt(1)}; }

Change RunOf(int i) {
  const std::string id = "run-" + std::to_string(i);
  domain::Run run{.id = RunId(id),
                  .application = ApplicationId("app-1"),
                  .application_name = "shop",
                  .ref = "main",
                  .version = "",
                  .description = "",
                  .submitted_by = "admin",
                  .submitted_at = By("").at,
                  .request_id = id};
  domain::Task task;
  task.id = KeyOf(i).task;
  task.run = run.id;
  task.application = run.application;
  task.platform = "web";
  task.state = domain::TaskState::kQueued;
  task.created_at = run.submitted_at;
  return CreateRun{By("admin"), std::move(run), {std::move(task)}};
}

// The lines of the plan that read the table `tasks`, each with the line below it.
std::vector<std::string> ReadsOfTasks(Database& database, const std::string& statement,
                                      const std::string& arguments) {
  std::vector<std::string> reads;
  CHECK_OK(database.Write([&](Transaction& t) {
    const auto rows = t.work().exec("EXPLAIN EXECUTE " + statement + arguments);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto line = rows[i][0].as<std::string>();
      const bool reads_tasks = line.find(" on tasks ") != std::string::npos ||
                               line.find("_pkey on tasks") != std::string::npos;
      if (!reads_tasks || line.find("Update on") != std::string::npos) continue;
      reads.push_back(line + (i + 1 < rows.size() ? rows[i + 1][0].as<std::string>() : ""));
    }
    return absl::OkStatus();
  }));
  return reads;
}

TEST_CASE("Plans: changes of tasks look up their rows, though the plan is of a small table",
          "[db]") {
  const std::string url = PostgresFixture::Get().NewDatabase();
  DatabaseOptions options = TestDatabaseOptions(url);
  options.max_connections = 1;  // the one whose plans are looked at
  REQUIRE_OK(RunSql(url, "UPDATE leadership SET holder = '" + options.application_name + "'"));
  const auto database = Database::Open(options);
  REQUIRE_OK(database);
  PgSchedulerStore store(**database);
  REQUIRE_OK(store.BecomeLeader());
  REQUIRE_OK(PgApplicationStore(**database)
                 .Create({.id = ApplicationId("app-1"),
                          .name = "shop",
                          .repository = "https://example.test/shop.git",
                          .description = "",
                          .created_at = By("").at,
                          .created_by = "admin"},
                         By("admin")));
  const auto commit = [&](const Change& change) {
    const auto outcome = store.Commit({change});
    REQUIRE_OK(outcome);
    REQUIRE_OK(outcome->at(0));
  };
  commit(RunOf(0));
  // Few enough that walking the index is thought cheaper than a look-up for each change, and hardly
  // any that the statements may change.
  REQUIRE_OK(RunSql(url, R"(
INSERT INTO tasks (id, run_id, application_id, kind, platform, target, requirements, priority,
                   concurrency_group, queue_timeout, state, attempt, agent_id, starts,
                   cancel_requested, created_at)
SELECT 'done-' || n, run_id, application_id, kind, platform, target, requirements, priority,
       concurrency_group, queue_timeout, 'succeeded', 1, agent_id, starts, cancel_requested,
       created_at
  FROM tasks, generate_series(1, 300) AS n WHERE id = 'task-0';
ANALYZE)"));
  for (int i = 1; i <= kRounds; ++i) {
    commit(RunOf(i));
    commit(OfferTask{By("scheduler"), KeyOf(i), AgentId("agent-1"), By("").at});
    commit(RequeueTask{By("scheduler"), KeyOf(i), "refused", WallTime()});
    const AttemptKey second{KeyOf(i).task, Attempt(2)};
    commit(OfferTask{By("scheduler"), second, AgentId("agent-1"), By("").at});
    commit(StartTask{By("agent:agent-1"), second});
    commit(FinishTask{.cause = By("agent:agent-1"),
                      .key = second,
                      .state = domain::TaskState::kSucceeded,
                      .result = protocol::AttemptResult(),
                      .release = std::nullopt});
  }
  const std::vector<std::pair<const char*, const char*>> calls = {
      {"scheduler_offer_task", "('{}', '{}', '{}', '{}')"},
      {"scheduler_start_task", "('{}', '{}', '{}')"},
      {"scheduler_requeue_task", "('[]')"},
      {"scheduler_finish_task", "('[]')"}};
  for (const auto& [statement, arguments] : calls) {
    CAPTURE(statement);
    const auto reads = ReadsOfTasks(**database, statement, arguments);
    CHECK(reads.size() >= 2);  // the look-up, and the row
    for (const std::string& read : reads) {
      CAPTURE(read);
      CHECK((read.find("Index Cond") != std::string::npos ||
             read.find("TID Cond") != std::string::npos));
    }
  }
}

}  // namespace
}  // namespace slipway::store::pg
