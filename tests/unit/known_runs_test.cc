#include "controller/runs/known_runs.h"

#include <catch2/catch.hpp>
#include <string>

namespace slipway::runs {
namespace {

domain::Run RunOf(const std::string& name) {
  domain::Run run;
  run.id = RunId("run-" + name);
  run.ref = "ref-" + name;
  return run;
}

std::vector<domain::Task> TasksOf(const std::string& name) {
  domain::Task build;
  build.id = TaskId("build-" + name);
  build.platform = "weixin";
  domain::Task publish = build;
  publish.id = TaskId("publish-" + name);
  publish.kind = domain::TaskKind::kPublish;
  publish.depends_on = build.id;
  return {build, publish};
}

TEST_CASE("KnownRuns: a task is found with its run and with whether a publish follows") {
  KnownRuns known(10);
  known.Add(RunOf("a"), TasksOf("a"));
  const auto build = known.Find(TaskId("build-a"));
  REQUIRE(build);
  CHECK(build->run->ref == "ref-a");
  CHECK(build->kind == domain::TaskKind::kBuild);
  CHECK(build->platform == "weixin");
  CHECK(build->publish_follows);
  const auto publish = known.Find(TaskId("publish-a"));
  REQUIRE(publish);
  CHECK(publish->kind == domain::TaskKind::kPublish);
  CHECK_FALSE(publish->publish_follows);
  CHECK_FALSE(known.Find(TaskId("build-b")));
}

TEST_CASE("KnownRuns: the oldest runs are forgotten") {
  KnownRuns known(2);
  for (const char* name : {"a", "b", "c"}) known.Add(RunOf(name), TasksOf(name));
  CHECK_FALSE(known.Find(TaskId("build-a")));
  CHECK_FALSE(known.Find(TaskId("publish-a")));
  CHECK(known.Find(TaskId("build-b")));
  CHECK(known.Find(TaskId("publish-c")));
}

}  // namespace
}  // namespace slipway::runs
