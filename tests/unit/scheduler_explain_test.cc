#include <catch2/catch.hpp>
#include <string>

#include "controller/scheduler/agent_roster.h"
#include "controller/scheduler/scheduler_core.h"
#include "tests/unit/scheduler_farm.h"

// Why a task waits, and what ends a wait that is in vain.
namespace slipway::scheduler {
namespace {

using domain::TaskState;
using protocol::FailureClass;
using protocol::Want;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration kNoAgent = minutes(10);

domain::Task Picky(const std::string& id) {
  domain::Task task = Farm::Build(id);
  task.requirements = {{"xcode", "15"}};
  return task;
}

TEST_CASE("AgentRoster: tells which waiting tasks may hope, as agents come, change and go",
          "[unit][scheduler]") {
  AgentRoster roster;
  const Labels xcode = {{"xcode", "15"}};
  CHECK_FALSE(roster.Want(xcode, TaskId("t")));
  CHECK_FALSE(roster.Want({}, TaskId("u")));
  auto shift = roster.Put(AgentId("a"), {"mac", {{"xcode", "14"}}, true});
  CHECK(shift.possible == std::vector<TaskId>{TaskId("u")});
  CHECK(shift.impossible.empty());
  shift = roster.Put(AgentId("b"), {"new-mac", xcode, true});
  CHECK(shift.possible == std::vector<TaskId>{TaskId("t")});
  CHECK(roster.Want(xcode, TaskId("v")));
  roster.Unwant(xcode, TaskId("t"));
  shift = roster.Put(AgentId("b"), {"", {}, true});
  CHECK(shift.impossible == std::vector<TaskId>{TaskId("v")});
  CHECK(roster.agents().at(AgentId("b")).name == "new-mac");
  CHECK(roster.Remove(AgentId("a")).impossible.empty());
  CHECK(roster.Remove(AgentId("b")).impossible == std::vector<TaskId>{TaskId("u")});
  CHECK(roster.Remove(AgentId("b")).impossible.empty());
}

TEST_CASE("AgentRoster: the nearest agents are those that miss least", "[unit][scheduler]") {
  AgentRoster roster;
  const Labels wanted = {{"gpu", "1"}, {"zone", "north"}};
  CHECK(roster.Nearest(wanted, 3).empty());
  roster.Put(AgentId("1"), {"far", {}, true});
  roster.Put(AgentId("2"), {"near", {{"gpu", "1"}, {"zone", "south"}}, true});
  roster.Put(AgentId("3"), {"", {{"zone", "north"}}, true});
  roster.Put(AgentId("4"), {"new", {}, false});
  const auto nearest = roster.Nearest(wanted, 3);
  REQUIRE(nearest.size() == 3);
  CHECK(nearest[0] == "3 (no gpu)");
  CHECK(nearest[1] == "near (zone is south)");
  CHECK(nearest[2] == "far (no gpu, no zone)");
  CHECK(roster.Nearest(wanted, 9)[3] == "new (never connected)");
}

TEST_CASE("Scheduler: explains which agents could run a task and how they are",
          "[unit][scheduler]") {
  Farm farm;
  store::Unfinished rows;
  rows.agents.push_back({AgentId("n"), "name-n", {}, false});
  farm.core.Load(rows, farm.now, farm.wall());
  farm.Submit({Picky("t")});
  CHECK(farm.Why("t").await == Await::kAgent);
  REQUIRE(farm.Why("t").agents.size() == 1);
  CHECK(farm.Why("t").agents[0].condition == AgentCondition::kNeverSeen);

  farm.ConnectLabelled("a", 1, {{"xcode", "14"}});
  farm.ConnectLabelled("d", 2, {{"xcode", "15"}}, true);
  farm.ConnectLabelled("o", 3, {{"xcode", "15"}});
  farm.ConnectLabelled("r", 4, {{"xcode", "15"}});
  // t and u are taken by o and r; then o goes away and r stays busy.
  farm.Submit({Picky("u")});
  farm.Do(SessionClosed{{AgentId("o"), SessionId(3)}});
  farm.Submit({Picky("v")});
  const Explanation why = farm.Why("v");
  CHECK(why.await == Await::kAgent);
  CHECK(why.requirements == Labels{{"xcode", "15"}});
  REQUIRE(why.agents.size() == 5);
  std::map<std::string, AgentFit> by_name;
  for (const AgentFit& fit : why.agents) by_name[fit.name] = fit;
  CHECK(by_name["name-r"].condition == AgentCondition::kBusy);
  CHECK(by_name["name-r"].held == 1);
  CHECK(by_name["name-d"].condition == AgentCondition::kDraining);
  CHECK(by_name["name-o"].condition == AgentCondition::kOffline);
  CHECK(by_name["name-o"].slots == 0);
  CHECK(by_name["name-o"].unmet.empty());
  // Those that fit come first.
  CHECK(why.agents[2].unmet.empty());
  REQUIRE(by_name["name-a"].unmet.size() == 1);
  CHECK(by_name["name-a"].unmet[0].key == "xcode");
  CHECK(by_name["name-a"].unmet[0].wanted == "15");
  CHECK(by_name["name-a"].unmet[0].has == "14");
  CHECK_FALSE(by_name["name-n"].unmet.at(0).has.has_value());
}

TEST_CASE("Scheduler: a draining agent gets no offer", "[unit][scheduler]") {
  Farm farm;
  farm.Submit({Picky("t")});
  farm.ConnectLabelled("a", 1, {{"xcode", "15"}}, true);
  CHECK(farm.Changed<store::OfferTask>() == nullptr);
}

TEST_CASE("Scheduler: explains pause, offer, place in the group and how many are ahead",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  for (const char* id : {"t", "u", "v"}) {
    domain::Task task = Farm::Build(id);
    task.group = "nightly";
    farm.Submit({task});
  }
  farm.Submit({Farm::Build("x")});
  domain::Task last = Farm::Build("y");
  last.queue_timeout = minutes(30);
  last.queued_since = farm.wall();
  farm.Submit({last});
  CHECK(farm.Why("t").await == Await::kAnswer);
  REQUIRE(farm.Why("t").deadlines.size() == 1);
  CHECK(farm.Why("t").deadlines[0].kind == Deadline::Kind::kOfferEnds);
  CHECK(farm.Why("t").deadlines[0].at == farm.wall() + kOffer);
  farm.Run("t");
  CHECK(farm.Why("t").await == Await::kNothing);
  const Explanation third = farm.Why("v");
  CHECK(third.await == Await::kGroup);
  REQUIRE(third.group);
  CHECK(third.group->name == "nightly");
  CHECK(third.group->holders == std::vector<TaskId>{TaskId("t")});
  CHECK(third.group->ahead == 1);
  CHECK(third.group->first == std::vector<TaskId>{TaskId("u")});
  CHECK(third.group->members == 3);
  CHECK(farm.Why("x").ahead.tasks == 0);
  const Explanation waiting = farm.Why("y");
  CHECK(waiting.ahead.tasks == 1);
  CHECK(waiting.ahead.first == std::vector<TaskId>{TaskId("x")});
  REQUIRE(waiting.deadlines.size() == 1);
  CHECK(waiting.deadlines[0].kind == Deadline::Kind::kQueueTimeout);
  CHECK(waiting.deadlines[0].at == farm.wall() + minutes(30));

  farm.Report("t", 1, FailureClass::kNetwork);
  CHECK(farm.Why("t").await == Await::kPause);
  CHECK(farm.Why("t").deadlines.at(0).kind == Deadline::Kind::kPauseEnds);
  CHECK(farm.Why("t").deadlines.at(0).at == farm.wall() + seconds(1));
  CHECK_FALSE(farm.core.Explain(TaskId("none"), farm.now, farm.wall()).has_value());
}

TEST_CASE("Scheduler: a task that no agent could ever run fails after a grace, with the nearest",
          "[unit][scheduler]") {
  Farm farm;
  farm.ConnectLabelled("a", 1, {{"xcode", "14"}});
  farm.Do(SessionClosed{Farm::kA});
  farm.Submit({Picky("t")});
  CHECK(farm.Why("t").deadlines.at(0).kind == Deadline::Kind::kNoAgent);
  farm.Pass(kNoAgent - seconds(1));
  CHECK(farm.changes.empty());
  farm.Pass(seconds(1));
  CHECK(farm.Finished("t") == TaskState::kFailed);
  REQUIRE(farm.Changed<store::FinishTask>() != nullptr);
  const auto failure = farm.Changed<store::FinishTask>()->result->failure;
  CHECK(failure->klass == FailureClass::kInfrastructure);
  CHECK(failure->reason == "NO_AGENT_MATCHES");
  CHECK(failure->message.find("xcode=15") != std::string::npos);
  CHECK(failure->remedy.find("name-a (xcode is 14)") != std::string::npos);
  CHECK(failure->remedy_zh.find("name-a (xcode is 14)") != std::string::npos);
}

TEST_CASE("Scheduler: an agent that is away, busy or draining keeps a task waiting",
          "[unit][scheduler]") {
  for (const bool draining : {true, false}) {
    Farm farm;
    farm.ConnectLabelled("a", 1, {{"xcode", "15"}}, draining);
    farm.Do(SessionClosed{Farm::kA});
    farm.Submit({Picky("t")});
    farm.Pass(kNoAgent);
    farm.Pass(kNoAgent);
    CHECK(farm.Finished("t") == std::nullopt);
    CHECK(farm.core.unfinished() == 1);
  }
}

TEST_CASE(
    "Scheduler: an agent that joins in time saves the task, one that changes its labels "
    "dooms it",
    "[unit][scheduler]") {
  Farm farm;
  farm.Submit({Picky("t")});
  farm.Pass(kNoAgent - seconds(1));
  farm.ConnectLabelled("a", 1, {{"xcode", "15"}}, true);
  farm.Do(SessionClosed{Farm::kA});
  farm.Pass(kNoAgent);
  CHECK(farm.Finished("t") == std::nullopt);
  farm.ConnectLabelled("a", 2, {{"xcode", "16"}});
  farm.Do(SessionClosed{{AgentId("a"), SessionId(2)}});
  farm.Pass(kNoAgent - seconds(1));
  CHECK(farm.Finished("t") == std::nullopt);
  farm.Pass(seconds(1));
  CHECK(farm.Finished("t") == TaskState::kFailed);
}

TEST_CASE("Scheduler: the grace for missing agents begins after that of the controller's start",
          "[unit][scheduler]") {
  Farm farm;
  farm.core.Load({{Picky("t")}, {}}, farm.now, farm.wall());
  farm.Pass(kGrace + kNoAgent - seconds(1));
  CHECK(farm.changes.empty());
  farm.Pass(seconds(1));
  CHECK(farm.Finished("t") == TaskState::kFailed);
  CHECK(farm.Changed<store::FinishTask>()->result->failure->message ==
        "No agent has joined this farm.");
}

}  // namespace
}  // namespace slipway::scheduler
