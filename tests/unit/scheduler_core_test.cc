#include "controller/scheduler/scheduler_core.h"

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>

#include "tests/support/status_matchers.h"
#include "tests/unit/scheduler_farm.h"

namespace slipway::scheduler {
namespace {

using domain::TaskKind;
using domain::TaskState;
using protocol::AttemptPhase;
using protocol::FailureClass;
using protocol::Want;
using std::chrono::seconds;
using testing::StatusIs;

TEST_CASE(
    "Scheduler: a task is offered, started once accepted, and forgotten once its result is "
    "stored",
    "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  REQUIRE(farm.replies.size() == 1);
  CHECK_OK(farm.replies[0].status);
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kOffer);
  farm.Run("t");
  CHECK(farm.Changed<store::StartTask>() != nullptr);
  farm.Succeed("t");
  CHECK(farm.Finished("t") == TaskState::kSucceeded);
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kForget);
  CHECK(farm.core.unfinished() == 0);
}

TEST_CASE("Scheduler: nothing is told before the changes are committed", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.core.Apply(Submit{Ticket(1), {}, {Farm::Build("t")}}, farm.now, farm.wall());
  REQUIRE(farm.core.HasWork());
  REQUIRE(farm.core.TakeChanges().size() == 1);
  const Effects failed = farm.core.OnInDoubt();
  CHECK(failed.reload);
  CHECK(failed.sends.empty());
  REQUIRE(failed.replies.size() == 1);
  CHECK_THAT(failed.replies[0].status, StatusIs(absl::StatusCode::kUnavailable, "COMMIT_IN_DOUBT"));

  farm.told.clear();
  farm.core.Load({{Farm::Build("t")}, {}}, farm.now, farm.wall());
  farm.Commit();
  REQUIRE(farm.Told<protocol::Desired>() != nullptr);
  CHECK(farm.Told<protocol::Desired>()->sync_after == Duration::zero());
  CHECK(farm.WantOf(Farm::Key("t")) == std::nullopt);
  farm.Connect("a", 1, {}, 1, 2);
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kOffer);
}

TEST_CASE("Scheduler: a refused change makes it load again; a known request does not",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.core.Apply(Submit{Ticket(1), {}, {Farm::Build("t")}}, farm.now, farm.wall());
  (void)farm.core.TakeChanges();
  Effects known = farm.core.OnCommitted({absl::AlreadyExistsError("run-9")}, farm.now, farm.wall());
  CHECK_FALSE(known.reload);
  REQUIRE(known.replies.size() == 1);
  CHECK(absl::IsAlreadyExists(known.replies[0].status));
  CHECK(known.replies[0].run == RunId("run-9"));
  CHECK(farm.core.unfinished() == 0);

  farm.Submit({Farm::Build("u")});
  farm.core.Apply(Accepted{Farm::kA, Farm::Key("u")}, farm.now, farm.wall());
  (void)farm.core.TakeChanges();
  const Effects refused =
      farm.core.OnCommitted({absl::AbortedError("guard")}, farm.now, farm.wall());
  CHECK(refused.reload);
  CHECK(refused.sends.empty());
}

TEST_CASE("Scheduler: an unanswered offer goes back and a late acceptance is disowned",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Pass(kOffer);
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
  CHECK(farm.WantOf(Farm::Key("t", 1)) == Want::kForget);
  CHECK(farm.WantOf(Farm::Key("t", 2)) == Want::kOffer);
  farm.Do(Accepted{Farm::kA, Farm::Key("t", 1)});
  CHECK(farm.changes.empty());
  CHECK(farm.WantOf(Farm::Key("t", 1)) == Want::kForget);
}

TEST_CASE("Scheduler: an agent that refused is left alone for a moment", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Do(Refused{Farm::kA, Farm::Key("t"), "no free slot"});
  CHECK(farm.Changed<store::RequeueTask>()->why == "refused: no free slot");
  CHECK(farm.Changed<store::OfferTask>() == nullptr);
  farm.Pass(seconds(2));
  CHECK(farm.WantOf(Farm::Key("t", 2)) == Want::kOffer);
}

TEST_CASE("Scheduler: messages of a replaced session change nothing", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Connect("a", 5);
  farm.Do(Accepted{Farm::kA, Farm::Key("t")});
  CHECK(farm.changes.empty());
  farm.Do(SessionClosed{Farm::kA});
  CHECK(farm.core.Agents().at(0).online);
}

TEST_CASE(
    "Scheduler: a build whose agent stays away is built elsewhere, the old result is disowned",
    "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  farm.Do(SessionClosed{Farm::kA});
  farm.Connect("b", 2);
  farm.Pass(kLease);
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
  farm.Connect("b", 2, {}, 1, 2);
  CHECK(farm.WantOf(Farm::Key("t", 2)) == Want::kOffer);
  farm.Connect("a", 3, {{Farm::Key("t", 1), TaskKind::kBuild, AttemptPhase::kFinished}});
  CHECK(farm.WantOf(Farm::Key("t", 1)) == Want::kForget);
  ResultReported old = ReportOf({AgentId("a"), SessionId(3)}, Farm::Key("t", 1));
  old.log = LogState::kComplete;
  farm.Do(old);
  CHECK(farm.changes.empty());
}

TEST_CASE("Scheduler: a build lost too often fails as agent_lost", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  for (std::int64_t attempt = 1; attempt <= 3; ++attempt) {
    farm.Run("t", attempt);
    farm.Report("t", attempt, FailureClass::kAgentLost);
    if (attempt < 3) {
      CHECK(farm.Changed<store::RequeueTask>() != nullptr);
      farm.Pass(seconds(8));
    }
  }
  CHECK(farm.Finished("t") == TaskState::kFailed);
}

TEST_CASE("Scheduler: the failure class decides whether a build is tried again",
          "[unit][scheduler]") {
  const std::map<FailureClass, bool> again = {
      {FailureClass::kBuild, false},          {FailureClass::kTimeout, false},
      {FailureClass::kPolicy, false},         {FailureClass::kCredential, false},
      {FailureClass::kNetwork, true},         {FailureClass::kInfrastructure, true},
      {FailureClass::kPlatformRefused, false}};
  for (const auto& [klass, expected] : again) {
    Farm farm;
    farm.Connect("a", 1);
    farm.Submit({Farm::Build("t")});
    farm.Run("t");
    farm.Report("t", 1, klass);
    INFO(protocol::FailureClassName(klass));
    CHECK((farm.Changed<store::RequeueTask>() != nullptr) == expected);
    CHECK((farm.Finished("t") == TaskState::kFailed) != expected);
    CHECK(farm.WantOf(Farm::Key("t")) == Want::kForget);
  }
}

TEST_CASE("Scheduler: a result is taken only when its log is complete", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  ResultReported event = ReportOf(Farm::kA, Farm::Key("t"));
  event.result.log.size = 100;
  event.log = LogState::kIncomplete;
  farm.Do(event);
  CHECK(farm.changes.empty());
  CHECK(farm.told.empty());
  event.log = LogState::kDamaged;
  event.log_missing = 7;
  farm.Do(event);
  REQUIRE(farm.Changed<store::FinishTask>() != nullptr);
  CHECK(farm.Changed<store::FinishTask>()->result->log.missing == 7);
}

TEST_CASE("Scheduler: an attempt missing from two inventories in a row is lost",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  farm.Connect("a", 1, {}, 1, 2);
  CHECK(farm.changes.empty());
  CHECK(farm.Told<protocol::Desired>()->sync_after == Duration::zero());
  farm.Connect("a", 1, {}, 1, 3);
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
}

TEST_CASE("Scheduler: after a start no lease ends before the grace period", "[unit][scheduler]") {
  Farm farm;
  domain::Task task = Farm::Build("t");
  task.state = TaskState::kRunning;
  task.attempt = Attempt(1);
  task.agent = AgentId("a");
  farm.core.Load({{task}, {}}, farm.now, farm.wall());
  farm.Pass(kGrace - seconds(1));
  CHECK(farm.changes.empty());
  farm.Connect("a", 1, {{Farm::Key("t"), TaskKind::kBuild, AttemptPhase::kRunning}});
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kKeep);
  farm.Pass(kLease - seconds(1));
  CHECK(farm.changes.empty());
  farm.Pass(seconds(2));
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
}

TEST_CASE("Scheduler: a lease that is shorter than the grace period does not end in it",
          "[unit][scheduler]") {
  Farm farm;
  domain::Task task = Farm::Build("t");
  task.state = TaskState::kRunning;
  task.attempt = Attempt(1);
  task.agent = AgentId("a");
  farm.core.Load({{task}, {}}, farm.now, farm.wall());
  // The agent's time begins anew with each inventory, and with the end of its session.
  farm.Connect("a", 1, {{Farm::Key("t"), TaskKind::kBuild, AttemptPhase::kRunning}});
  farm.Do(SessionClosed{Farm::kA});
  farm.Pass(kGrace - seconds(1));
  CHECK(farm.changes.empty());
  farm.Pass(seconds(1));
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
}

TEST_CASE("Scheduler: a lost build's log takes no more bytes, a publish's waits for its late word",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t"), Farm::Publish("p", "t")});
  farm.Run("t");
  farm.Do(SessionClosed{Farm::kA});
  farm.Pass(kLease);
  REQUIRE(farm.Changed<store::RequeueTask>() != nullptr);
  REQUIRE(farm.taken.size() == 1);
  CHECK(farm.taken.front().key == Farm::Key("t"));
  CHECK_FALSE(farm.taken.front().log_complete);

  farm.Connect("a", 2);
  const Origin again{AgentId("a"), SessionId(2)};
  farm.Do(Accepted{again, Farm::Key("t", 2)});
  ResultReported built = ReportOf(again, Farm::Key("t", 2));
  built.log = LogState::kComplete;
  farm.Do(built);
  farm.Do(Accepted{again, Farm::Key("p")});
  farm.Do(PermitRequested{.from = again,
                          .key = Farm::Key("p"),
                          .manifest = {},
                          .nonce = "n",
                          .sequence = 1,
                          .deadline = seconds(60)});
  REQUIRE(farm.Told<protocol::Permit>() != nullptr);
  farm.Do(SessionClosed{again});
  farm.Pass(kLease);
  REQUIRE(farm.Changed<store::MarkUnknown>() != nullptr);
  CHECK(farm.taken.empty());
}

TEST_CASE("Scheduler: a controller that stood still does not take its agents for dead",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  farm.StandStill(kLease + seconds(301));
  CHECK(farm.changes.empty());
  farm.Pass(kGrace + seconds(1));
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
}

TEST_CASE("Scheduler: how long it stood still counts, not how late the lease is found",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  farm.StandStill(seconds(301));  // the lease ran out in the middle of it
  CHECK(farm.changes.empty());
  farm.Connect("a", 1, {{Farm::Key("t"), TaskKind::kBuild, AttemptPhase::kRunning}});
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kKeep);
}

TEST_CASE("Scheduler: it asks to be woken so often that a standstill shows", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  REQUIRE(farm.core.NextDeadline().has_value());
  CHECK(*farm.core.NextDeadline() - farm.now <= seconds(150));
}

TEST_CASE(
    "Scheduler: a publish is not offered while its build is unfinished, whatever its row says",
    "[unit][scheduler]") {
  Farm farm;
  domain::Task publish = Farm::Publish("p", "t");
  publish.state = TaskState::kQueued;
  farm.core.Load({{Farm::Build("t"), publish}, {}}, farm.now, farm.wall());
  farm.Connect("a", 1, {}, 2);
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kOffer);
  CHECK(farm.WantOf(Farm::Key("p")) == std::nullopt);
}

TEST_CASE("Scheduler: a full queue refuses a submit and says so", "[unit][scheduler]") {
  SchedulerOptions options = Farm::Options();
  options.max_unfinished = 1;
  Farm farm;
  farm.core = SchedulerCore(options);
  farm.core.Load({}, farm.now, farm.wall());
  farm.Submit({Farm::Build("t")});
  farm.Submit({Farm::Build("u")});
  CHECK_THAT(farm.replies.at(0).status,
             StatusIs(absl::StatusCode::kResourceExhausted, "QUEUE_FULL"));
}

TEST_CASE("Scheduler: an agent that is not well gets no offer until it is well again",
          "[unit][scheduler]") {
  Farm farm;
  protocol::Inventory inventory;
  inventory.sequence = 1;
  inventory.slots = 2;
  inventory.health.disks = {{.path = "/data", .state = protocol::DiskState::kFull}};
  farm.Do(InventoryReceived{Farm::kA, inventory, "name-a"});
  farm.Submit({Farm::Build("t")});
  CHECK(farm.Changed<store::OfferTask>() == nullptr);
  CHECK(farm.Why("t").agents.at(0).condition == AgentCondition::kUnwell);
  inventory.sequence = 2;
  inventory.health = {};
  farm.Do(InventoryReceived{Farm::kA, inventory, "name-a"});
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kOffer);
}

TEST_CASE("Scheduler: an agent that is not well any more keeps what it runs", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  protocol::Inventory inventory;
  inventory.sequence = 2;
  inventory.slots = 1;
  inventory.attempts = {
      {Farm::Key("t"), domain::TaskKind::kBuild, protocol::AttemptPhase::kRunning}};
  inventory.health.engine.state = protocol::EngineState::kDown;
  farm.Do(InventoryReceived{Farm::kA, inventory, "name-a"});
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kKeep);
}

}  // namespace
}  // namespace slipway::scheduler
