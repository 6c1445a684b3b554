#include <unistd.h>

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <sstream>
#include <stop_token>
#include <string>
#include <vector>

#include "controller/cli/bench/program.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

// slipway-bench against a real controller.
struct Bench {
  Bench() { farm.Start(); }

  int Run(std::vector<std::string> arguments) {
    for (const auto& argument :
         std::vector<std::string>{"--server", farm.server(), "--ca", farm.data_dir() + "/ca.pem",
                                  "--token-file", farm.data_dir() + "/admin.token", "--json"}) {
      arguments.push_back(argument);
    }
    out.str("");
    cli::Surroundings surroundings{.out = out,
                                   .err = err,
                                   .environment = [](const char*) { return std::string(); },
                                   .stop = stop.get_token()};
    return bench::RunProgram(arguments, surroundings);
  }
  double Figure(const char* key) {
    return boost::json::parse(out.str()).as_object().at(key).to_number<double>();
  }
  // Agents of the farm that are still there.
  std::size_t Agents() {
    const auto context = farm.client().Context();
    v1::ListAgentsResponse agents;
    REQUIRE(farm.client().agents().ListAgents(context.get(), {}, &agents).ok());
    return static_cast<std::size_t>(agents.agents_size());
  }
  std::vector<v1::Task> Tasks() {
    const auto context = farm.client().Context();
    v1::ListTasksRequest request;
    request.set_page_size(1000);
    v1::ListTasksResponse tasks;
    REQUIRE(farm.client().tasks().ListTasks(context.get(), request, &tasks).ok());
    return {tasks.tasks().begin(), tasks.tasks().end()};
  }

  FarmFixture farm;
  std::ostringstream out;
  std::ostringstream err;
  std::stop_source stop;
};

TEST_CASE("slipway-bench: every task it counts has succeeded in the database, and its agents leave",
          "[integration]") {
  Bench b;
  INFO(b.err.str());
  REQUIRE(b.Run({"tasks", "--agents", "3", "--slots", "4", "--tasks", "60"}) == 0);
  CHECK(b.Figure("tasks") == 60);
  CHECK(b.Figure("tasks_per_s") > 0);
  CHECK(b.Figure("submit_p50_ms") > 0);
  CHECK(b.Figure("assign_p50_ms") > 0);
  CHECK(b.Figure("task_p50_ms") >= b.Figure("assign_p50_ms"));
  const auto tasks = b.Tasks();
  CHECK(tasks.size() == 61);  // the first makes the product
  for (const v1::Task& task : tasks) {
    CHECK(task.state() == v1::TASK_STATE_SUCCEEDED);
    CHECK_FALSE(task.result().build().manifest().empty());
  }
  CHECK(b.Agents() == 0);
}

TEST_CASE("slipway-bench: unary calls are timed, small ones and pages", "[integration]") {
  Bench b;
  for (const char* page : {"0", "10"}) {
    INFO(page);
    REQUIRE(b.Run({"calls", "--calls", "5", "--page", page}) == 0);
    CHECK(b.Figure("calls") == 5);
    CHECK(b.Figure("call_p50_ms") > 0);
    CHECK(b.Figure("call_p99_ms") >= b.Figure("call_p50_ms"));
  }
}

TEST_CASE("slipway-bench: tasks in batches are counted alike", "[integration]") {
  Bench b;
  REQUIRE(b.Run({"tasks", "--agents", "2", "--slots", "8", "--tasks", "55", "--batch", "10"}) == 0);
  CHECK(b.Figure("tasks") == 55);
  CHECK(b.Tasks().size() == 56);
}

TEST_CASE("slipway-bench: idle agents connect, stay and leave", "[integration]") {
  Bench b;
  REQUIRE(b.Run({"agents", "--agents", "20", "--idle", "1"}) == 0);
  CHECK(b.Figure("agents") == 20);
  CHECK(b.Figure("up_after_idle") == 20);
  CHECK(b.Agents() == 0);
}

TEST_CASE("slipway-bench: each follower of each log has every byte that was printed",
          "[integration]") {
  Bench b;
  const std::string pid = std::to_string(getpid());
  INFO(b.err.str());
  REQUIRE(b.Run({"logs", "--logs", "2", "--followers", "3", "--bytes", "5MiB", "--controller-pid",
                 pid}) == 0);
  CHECK(b.Figure("logs") == 2);
  CHECK(b.Figure("followers") == 6);
  CHECK(b.Figure("mb") > 10.4);
  CHECK(b.Figure("stored_mb_per_s") > 0);
  CHECK(b.Figure("seen_mb_per_s") > 0);
  CHECK(b.Figure("controller_cpu_s") > 0);
  const auto tasks = b.Tasks();
  REQUIRE(tasks.size() == 2);
  for (const v1::Task& task : tasks) {
    CHECK(task.state() == v1::TASK_STATE_SUCCEEDED);
    CHECK(task.result().log().size() > (5U << 20));
  }
  CHECK(b.Agents() == 0);
}

TEST_CASE("slipway-bench: lines are timed from their print to each follower", "[integration]") {
  Bench b;
  INFO(b.err.str());
  REQUIRE(b.Run({"logs", "--logs", "1", "--followers", "4", "--lines", "50", "--seconds", "2"}) ==
          0);
  CHECK(b.Figure("followers") == 4);
  CHECK(b.Figure("line_p50_ms") > 0);
  CHECK(b.Figure("line_p99_ms") >= b.Figure("line_p50_ms"));
  CHECK(b.Tasks().size() == 1);
}

TEST_CASE("slipway-bench: a process that is not there is named before anything is printed",
          "[integration]") {
  Bench b;
  CHECK(b.Run({"logs", "--logs", "1", "--bytes", "1kB", "--controller-pid", "4194304"}) == 2);
  CHECK_THAT(b.err.str(), Catch::Contains("--controller-pid"));
}

TEST_CASE("slipway-bench: a controller that is not there is an error of its own", "[integration]") {
  Bench b;
  b.farm.Stop();
  CHECK(b.Run({"tasks", "--agents", "1", "--tasks", "1"}) == 3);
  CHECK_THAT(b.err.str(), Catch::Contains("does not answer"));
  CHECK(b.Run({"tasks", "--agents", "0"}) == 2);
  CHECK_THAT(b.err.str(), Catch::Contains("--agents"));
}

}  // namespace
}  // namespace slipway::testing
