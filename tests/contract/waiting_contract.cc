#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "tests/contract/store_farm.h"

// What the rows remember of why a task waits.
namespace slipway::testing {

using domain::Task;
using domain::TaskState;

TEST_CASE("SchedulerStore: starts are counted, pauses kept, and a lost attempt waits anew",
          "[contract]") {
  Farm farm;
  REQUIRE_OK(farm.CommitOne(Farm::Create("1")));
  REQUIRE_OK(farm.CommitOne(Farm::Offer("build-1", 1)));
  // A refused offer is no start, and the wait goes on.
  REQUIRE_OK(farm.CommitOne(store::RequeueTask{By("scheduler", 3), Key("build-1", 1), "refused"}));
  CHECK(farm.Get("build-1").starts == 0);
  CHECK(farm.Get("build-1").queued_since == FromUnixMicros(kStart));
  REQUIRE_OK(farm.CommitOne(Farm::Offer("build-1", 2)));
  REQUIRE_OK(farm.CommitOne(store::StartTask{By("agent:a", 4), Key("build-1", 2)}));
  REQUIRE_OK(farm.CommitOne(
      store::RequeueTask{By("scheduler", 5), Key("build-1", 2), "network", By("", 65).at}));
  const auto unfinished = farm.process->scheduler().LoadUnfinished();
  REQUIRE_OK(unfinished);
  const Task& task = unfinished->tasks.at(0);
  CHECK(task.starts == 1);
  CHECK(task.queued_since == By("", 5).at);
  CHECK(task.not_before == By("", 65).at);
  CHECK(unfinished->submitters.at(RunId("run-1")) == "admin");
  REQUIRE_OK(farm.CommitOne(Farm::Offer("build-1", 3)));
  REQUIRE_OK(farm.CommitOne(store::StartTask{By("agent:a", 70), Key("build-1", 3)}));
  CHECK(farm.Get("build-1").starts == 2);
  REQUIRE_OK(farm.CommitOne(Farm::Finish("build-1", 3, TaskState::kSucceeded)));
  REQUIRE_OK(farm.CommitOne(store::ReleaseTask{By("scheduler", 80), TaskId("publish-1")}));
  CHECK(farm.Get("publish-1").queued_since == By("", 80).at);
}

TEST_CASE("SchedulerStore: runs of one batch keep its order, whatever their ids and times",
          "[contract]") {
  Farm farm;
  store::CreateRun first = Farm::Create("9");
  first.run.submitted_at = By("", 60).at;
  for (const absl::Status& status : farm.Commit({first, Farm::Create("1")})) CHECK_OK(status);
  const auto unfinished = farm.process->scheduler().LoadUnfinished();
  REQUIRE_OK(unfinished);
  REQUIRE(unfinished->tasks.size() == 4);
  CHECK(unfinished->tasks.at(0).id == TaskId("build-9"));
  CHECK(unfinished->tasks.at(2).id == TaskId("build-1"));
}

TEST_CASE("SchedulerStore: of the publishes to one target one at a time is permitted",
          "[contract]") {
  Farm farm;
  farm.StartPublish("1");
  farm.StartPublish("2");
  REQUIRE_OK(farm.CommitOne(store::GrantPermit{By("scheduler"), MakePermit("publish-1", 1)}));
  const store::GrantPermit second{By("scheduler"), MakePermit("publish-2", 1)};
  CHECK_THAT(farm.CommitOne(second), kIsRefused);
  REQUIRE_OK(
      farm.CommitOne(store::MarkUnknown{By("scheduler"), Key("publish-1", 1), FullResult()}));
  CHECK_THAT(farm.CommitOne(second), kIsRefused);
  REQUIRE_OK(farm.CommitOne(Farm::Finish("publish-1", 1, TaskState::kFailed)));
  CHECK_OK(farm.CommitOne(second));
}

TEST_CASE("SchedulerStore: the agents of the farm are loaded with their labels", "[contract]") {
  Farm farm;
  store::AgentStore& agents = farm.process->agents();
  for (const std::string name : {"seen", "new"}) {
    domain::JoinToken token;
    token.token_hash = "hash-" + name;
    token.created_at = By("").at;
    token.created_by = "admin";
    token.expires_at = By("", 60).at;
    REQUIRE_OK(agents.AddJoinToken(token, {"admin", WallTime()}));
    domain::Agent agent;
    agent.id = AgentId("agent-" + name);
    agent.name = name;
    agent.joined_at = By("").at;
    REQUIRE_OK(agents.Join("hash-" + name, agent, By("").at));
  }
  REQUIRE_OK(agents.Touch({{AgentId("agent-seen"), {{"zone", "north"}}}}, By("", 5).at));
  const auto unfinished = farm.process->scheduler().LoadUnfinished();
  REQUIRE_OK(unfinished);
  std::map<std::string, store::RosterAgent> roster;
  for (const auto& agent : unfinished->agents) roster[agent.name] = agent;
  REQUIRE(roster.size() == 2);
  CHECK(roster["seen"].id == AgentId("agent-seen"));
  CHECK(roster["seen"].labels.at("zone") == "north");
  CHECK(roster["seen"].seen);
  CHECK_FALSE(roster["new"].seen);
}

}  // namespace slipway::testing
