#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/contract/store_farm.h"

namespace slipway::testing {

using domain::TaskState;

TEST_CASE("RunReader: pages of tasks follow each other without gap or repeat", "[contract]") {
  Farm farm;
  for (int i = 1; i <= 5; ++i) REQUIRE_OK(farm.CommitOne(Farm::Create(std::to_string(i))));
  store::TaskFilter filter;
  filter.page_size = 3;
  std::vector<std::string> seen;
  int pages = 0;
  do {
    const auto page = farm.process->reader().ListTasks(filter);
    REQUIRE_OK(page);
    REQUIRE(page->tasks.size() <= 3);
    for (const auto& task : page->tasks) seen.push_back(task.task.id.value());
    // What comes meanwhile is newer than what was seen.
    if (++pages == 1) REQUIRE_OK(farm.CommitOne(Farm::Create("6")));
    filter.page_token = page->next_page_token;
  } while (!filter.page_token.empty());
  CHECK(seen == std::vector<std::string>{"publish-5", "build-5", "publish-4", "build-4",
                                         "publish-3", "build-3", "publish-2", "build-2",
                                         "publish-1", "build-1"});
}

TEST_CASE("RunReader: tasks are filtered by run, application and state", "[contract]") {
  Farm farm;
  farm.StartBuild("1");
  REQUIRE_OK(farm.CommitOne(Farm::Create("2")));
  store::TaskFilter filter;
  filter.run = RunId("run-1");
  CHECK(farm.process->reader().ListTasks(filter)->tasks.size() == 2);
  filter.states = {TaskState::kRunning, TaskState::kFailed};
  const auto running = farm.process->reader().ListTasks(filter);
  REQUIRE_OK(running);
  REQUIRE(running->tasks.size() == 1);
  CHECK(running->tasks[0].task.id == TaskId("build-1"));
  CHECK(running->tasks[0].run.id == RunId("run-1"));
  filter = {};
  filter.application = ApplicationId("app-of-nobody");
  CHECK(farm.process->reader().ListTasks(filter)->tasks.empty());
}

TEST_CASE("RunReader: what is not there is named; a bad page is refused", "[contract]") {
  Farm farm;
  store::RunReader& reader = farm.process->reader();
  CHECK_THAT(reader.GetTask(TaskId("nope")).status(),
             StatusIs(absl::StatusCode::kNotFound, "nope"));
  CHECK_THAT(reader.GetRun(RunId("nope")).status(), StatusIs(absl::StatusCode::kNotFound, "nope"));
  CHECK(GetErrorInfo(reader.GetTask(TaskId("nope")).status()).reason == "NO_SUCH_TASK");
  CHECK(GetErrorInfo(reader.GetRun(RunId("nope")).status()).reason == "NO_SUCH_RUN");
  CHECK(GetErrorInfo(reader.GetRelease(ReleaseId("nope")).status()).reason == "NO_SUCH_PRODUCT");
  CHECK_THAT(reader.TasksOfRun(RunId("nope")).status(),
             StatusIs(absl::StatusCode::kNotFound, "nope"));
  CHECK_THAT(reader.ListSteps(TaskId("nope")).status(),
             StatusIs(absl::StatusCode::kNotFound, "nope"));
  CHECK_THAT(reader.GetRelease(ReleaseId("nope")).status(),
             StatusIs(absl::StatusCode::kNotFound, "nope"));
  REQUIRE_OK(farm.CommitOne(Farm::Create("1")));
  CHECK_THAT(reader.GetTask(TaskId(std::string("build-1\0", 8))).status(),
             StatusIs(absl::StatusCode::kNotFound));
  for (const std::string token : {"x", "-1", "0", "1x", "99999999999999999999999"}) {
    store::TaskFilter tasks;
    tasks.page_token = token;
    CHECK_THAT(reader.ListTasks(tasks).status(), StatusIs(absl::StatusCode::kInvalidArgument));
    store::ReleaseFilter releases;
    releases.page_token = token;
    CHECK_THAT(reader.ListReleases(releases).status(),
               StatusIs(absl::StatusCode::kInvalidArgument));
  }
  store::TaskFilter filter;
  filter.page_size = 0;
  CHECK_THAT(reader.ListTasks(filter).status(), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_CASE("RunReader: pages of releases, newest first", "[contract]") {
  Farm farm;
  for (const std::string n : {"1", "2", "3"}) {
    farm.StartPublish(n);
    store::FinishTask finish = Farm::Finish("publish-" + n, 1, TaskState::kSucceeded);
    finish.release = MakeRelease(n);
    REQUIRE_OK(farm.CommitOne(finish));
  }
  store::ReleaseFilter filter;
  filter.page_size = 2;
  filter.platform = "weixin";
  filter.application = ApplicationId("app-1");
  const auto first = farm.process->reader().ListReleases(filter);
  REQUIRE_OK(first);
  REQUIRE(first->releases.size() == 2);
  CHECK(first->releases[0].id == ReleaseId("release-3"));
  filter.page_token = first->next_page_token;
  const auto second = farm.process->reader().ListReleases(filter);
  REQUIRE_OK(second);
  REQUIRE(second->releases.size() == 1);
  CHECK(second->releases[0].id == ReleaseId("release-1"));
  CHECK(second->next_page_token.empty());
  filter = {};
  filter.platform = "alipay";
  CHECK(farm.process->reader().ListReleases(filter)->releases.empty());
}

TEST_CASE("RunReader: of a commit the build that ended last counts, by platform", "[contract]") {
  Farm farm;
  const std::string commit(40, 'c');
  const auto finish = [&](const std::string& n, TaskState state) {
    farm.StartBuild(n, "trial-" + n);
    store::FinishTask end = Farm::Finish("build-" + n, 1, state);
    end.result = FullResult();
    end.result->publish.reset();
    if (state == TaskState::kSucceeded) end.result->failure.reset();
    return end;
  };
  const std::vector<store::CommitOfApplication> wanted = {
      {ApplicationId("app-1"), commit},
      {ApplicationId("app-1"), commit},
      {ApplicationId("app-1"), std::string(40, 'e')},
      {ApplicationId("app-of-nobody"), commit},
      {ApplicationId("app-1"), std::string("\0", 1)}};
  REQUIRE_OK(farm.CommitOne(finish("1", TaskState::kFailed)));
  CHECK(farm.process->reader().BuiltOf({}, wanted)->empty());
  // Of one batch, too.
  const std::vector<store::Change> both = {finish("2", TaskState::kSucceeded),
                                           finish("3", TaskState::kSucceeded)};
  for (const absl::Status& status : farm.Commit(both)) REQUIRE_OK(status);
  auto built = farm.process->reader().BuiltOf({}, wanted);
  REQUIRE_OK(built);
  REQUIRE(built->size() == 1);
  CHECK(built->front().task == TaskId("build-3"));
  CHECK(built->front().run == RunId("run-3"));
  CHECK(built->front().application == ApplicationId("app-1"));
  CHECK(built->front().commit == commit);
  CHECK(built->front().platform == "weixin");
  CHECK(built->front().version == "1.2.3");
  CHECK(built->front().built_at == By("", 9).at);
  REQUIRE_OK(farm.CommitOne(finish("4", TaskState::kSucceeded)));
  CHECK(farm.process->reader().BuiltOf({}, wanted)->front().task == TaskId("build-4"));
  store::Viewer narrowed;
  narrowed.only = {ApplicationId("app-other")};
  CHECK(farm.process->reader().BuiltOf(narrowed, wanted)->empty());
}

}  // namespace slipway::testing
