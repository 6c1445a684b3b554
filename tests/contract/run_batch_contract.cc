#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tests/contract/store_farm.h"

namespace slipway::testing {

using domain::Task;

TEST_CASE("SchedulerStore: unlike runs of one batch come back each as it was created, in its order",
          "[contract]") {
  Farm farm;
  const std::vector<std::string> texts = {"",     "NULL", "{a,b}", "\"q\" \\ 'x'", "烘焙 \n\t",
                                          "null", "$1",   "a,b",   "{\"a\": [1]}", "\\\""};
  std::vector<store::Change> batch;
  for (int i = 0; i < 40; ++i) {
    const std::string& text = texts[static_cast<std::size_t>(i) % texts.size()];
    store::CreateRun create = Farm::Create(std::to_string(i));
    create.run.description = text;
    create.run.ref = i % 3 == 0 ? "main" : "release " + text;
    create.run.request_id = "request " + text + std::to_string(i);
    create.run.parameters["entry"] = text;
    create.run.submitted_at = FromUnixMicros(kStart + i);
    for (Task& task : create.tasks) {
      task.priority = i % 2;
      task.requirements["text"] = text;
      task.created_at = FromUnixMicros(kStart + i);
    }
    create.tasks[0].not_before = i % 4 == 0 ? FromUnixMicros(kStart + 1000 + i) : WallTime();
    batch.emplace_back(std::move(create));
  }
  for (const absl::Status& status : farm.Commit(batch)) CHECK_OK(status);
  for (int i = 0; i < 40; ++i) {
    const auto& created = std::get<store::CreateRun>(batch[static_cast<std::size_t>(i)]);
    const auto found = farm.process->reader().GetTask(created.tasks[1].id);
    REQUIRE_OK(found);
    CHECK(found->run.description == created.run.description);
    CHECK(found->run.parameters == created.run.parameters);
    CHECK(found->run.recipients == created.run.recipients);
    CHECK(found->run.packaging == created.run.packaging);
    CHECK(found->run.ref == created.run.ref);
    CHECK(found->run.request_id == created.run.request_id);
    CHECK(found->run.submitted_at == created.run.submitted_at);
    CHECK(found->task.requirements == created.tasks[1].requirements);
    CHECK(found->task.priority == i % 2);
    CHECK(found->task.created_at == created.tasks[1].created_at);
    CHECK(found->task.depends_on == created.tasks[0].id);
    CHECK(farm.Get(created.tasks[0].id.value()).not_before == created.tasks[0].not_before);
  }
  const auto listed = farm.process->reader().ListTasks({.page_size = 1000});
  REQUIRE_OK(listed);
  REQUIRE(listed->tasks.size() == 80);
  for (int i = 0; i < 40; ++i) {  // newest first
    const auto place = static_cast<std::size_t>(79 - 2 * i);
    CHECK(listed->tasks[place].task.id.value() == "build-" + std::to_string(i));
    CHECK(listed->tasks[place - 1].task.id.value() == "publish-" + std::to_string(i));
  }
}

TEST_CASE("SchedulerStore: a build that had ended when it was submitted is nobody's work",
          "[contract]") {
  Farm farm;
  store::CreateRun create = Farm::Create("hot");
  Task& build = create.tasks[0];
  build.state = domain::TaskState::kSucceeded;
  build.result = FullResult();
  build.result->failure.reset();
  build.result->build->same_as = "build-before";
  build.result->build->image = "slipway-builder:1";
  build.started_at = build.finished_at = FromUnixMicros(kStart + 5);
  create.tasks[1].state = domain::TaskState::kQueued;
  for (const absl::Status& status : farm.Commit({create})) CHECK_OK(status);
  const Task stored = farm.Get(build.id.value());
  CHECK(stored.state == domain::TaskState::kSucceeded);
  CHECK(stored.result == build.result);
  CHECK(stored.finished_at == build.finished_at);
  CHECK(stored.started_at == build.started_at);
  CHECK(stored.attempt.value() == 0);
  const auto unfinished = farm.process->scheduler().LoadUnfinished();
  REQUIRE_OK(unfinished);
  REQUIRE(unfinished->tasks.size() == 1);
  CHECK(unfinished->tasks[0].id == create.tasks[1].id);
}

TEST_CASE("SchedulerStore: a script is kept with its run, byte by byte, and apart from lists",
          "[contract]") {
  Farm farm;
  store::CreateRun create = Farm::Create("script");
  create.run.script_name = "检查 it's.sh";
  create.run.script = std::string("#!/bin/sh\n\0\xff\n", 13);
  create.tasks.resize(1);
  create.tasks[0].kind = domain::TaskKind::kScript;
  store::CreateRun after = Farm::Create("after");
  after.run.after_script = create.tasks[0].id;
  after.run.no_build_caches = true;
  for (const absl::Status& status : farm.Commit({create, after})) CHECK_OK(status);
  auto& reader = farm.process->reader();
  const auto found = reader.GetTask(create.tasks[0].id);
  REQUIRE_OK(found);
  CHECK(found->task.kind == domain::TaskKind::kScript);
  CHECK(found->run.script_name == create.run.script_name);
  CHECK(reader.ScriptOf(create.run.id).value_or("") == create.run.script);
  CHECK(reader.GetRun(after.run.id)->after_script == create.tasks[0].id);
  CHECK(reader.GetRun(after.run.id)->no_build_caches);
  CHECK_FALSE(found->run.no_build_caches);
  CHECK_THAT(reader.ScriptOf(after.run.id).status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_RUN"));
}

}  // namespace slipway::testing
