#include <catch2/catch.hpp>
#include <string>

#include "tests/db/access_fixture.h"

namespace slipway::testing {
namespace {

std::string TaskRow(const std::string& id, const std::string& run, const std::string& application,
                    const std::string& depends_on) {
  return "INSERT INTO tasks (id, run_id, application_id, kind, platform, target, depends_on, "
         "requirements, priority, concurrency_group, queue_timeout, state, attempt, agent_id, "
         "starts, cancel_requested, created_at) VALUES ('" +
         id + "', '" + run + "', '" + application + "', 'build', 'web', '', " + depends_on +
         ", '{}', 0, '', 0, 'succeeded', 1, '', 1, false, now())";
}

TEST_CASE("Tasks: the database keeps them with their runs and with what they depend on", "[db]") {
  AccessFarm farm;
  const auto refused = [&](const std::string& sql) {
    const auto outcome = RunSql(farm.url, sql);
    CAPTURE(sql);
    CHECK_FALSE(outcome.ok());
  };
  REQUIRE_OK(RunSql(farm.url, R"(
INSERT INTO runs (id, application_id, ref, version, description, submitted_by, submitted_at,
                  request_id)
VALUES ('run-1', 'app-shop', 'main', '', '', 'root', now(), 'r1'),
       ('run-2', 'app-shop', 'main', '', '', 'root', now(), 'r2'))"));
  refused(TaskRow("task-1", "run-none", "app-shop", "NULL"));
  refused(TaskRow("task-1", "run-1", "app-bakery", "NULL"));
  refused(TaskRow("task-1", "run-1", "app-shop", "'task-none'"));
  REQUIRE_OK(RunSql(farm.url, TaskRow("task-1", "run-1", "app-shop", "NULL")));
  REQUIRE_OK(RunSql(farm.url, TaskRow("task-2", "run-1", "app-shop", "'task-1'")));
  refused("DELETE FROM runs WHERE id = 'run-1'");
  refused("DELETE FROM tasks WHERE id = 'task-1'");
  refused("UPDATE tasks SET run_id = 'run-2' WHERE id = 'task-2'");
  refused("UPDATE tasks SET depends_on = 'task-none' WHERE id = 'task-2'");
  refused("UPDATE runs SET id = 'run-3' WHERE id = 'run-1'");
  refused("DELETE FROM applications WHERE id = 'app-shop'");
  REQUIRE_OK(RunSql(farm.url, "UPDATE tasks SET state = 'failed' WHERE id = 'task-2'"));
  REQUIRE_OK(RunSql(farm.url, "DELETE FROM runs WHERE id = 'run-2'"));
  REQUIRE_OK(RunSql(farm.url,
                    "WITH gone AS (DELETE FROM tasks WHERE run_id = 'run-1') "
                    "DELETE FROM runs WHERE id = 'run-1'"));
}

}  // namespace
}  // namespace slipway::testing
