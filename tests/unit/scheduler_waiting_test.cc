#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "controller/scheduler/scheduler_core.h"
#include "tests/unit/scheduler_farm.h"

// Why a task is not at an agent yet: retries, concurrency groups, time limits.
namespace slipway::scheduler {
namespace {

using domain::TaskKind;
using domain::TaskState;
using protocol::FailureClass;
using protocol::Want;
using std::chrono::minutes;
using std::chrono::seconds;

// A row as a controller that died left it.
domain::Task Row(domain::Task task, TaskState state, std::int64_t attempt = 0) {
  task.state = state;
  task.attempt = Attempt(attempt);
  if (attempt > 0) task.agent = AgentId("a");
  return task;
}

domain::PublishPermit PermitOf(const std::string& task) {
  domain::PublishPermit permit;
  permit.key = Farm::Key(task);
  permit.nonce = "nonce";
  return permit;
}

domain::Task Grouped(const std::string& id, const std::string& group) {
  domain::Task task = Farm::Build(id);
  task.group = group;
  return task;
}

domain::Task Impatient(const std::string& id) {
  domain::Task task = Farm::Build(id);
  task.queue_timeout = minutes(10);
  return task;
}

TEST_CASE("Scheduler: the cap of starts counts those before a controller restart",
          "[unit][scheduler]") {
  for (const int starts : {2, 3}) {
    Farm farm;
    domain::Task task = Row(Farm::Build("t"), TaskState::kRunning, 7);
    task.starts = starts;
    farm.core.Load({{task}, {}}, farm.now, farm.wall());
    farm.Connect("a", 1, {{Farm::Key("t", 7), TaskKind::kBuild, protocol::AttemptPhase::kRunning}});
    farm.Report("t", 7, FailureClass::kNetwork);
    CHECK((farm.Changed<store::RequeueTask>() != nullptr) == (starts < 3));
    CHECK((farm.Finished("t") == TaskState::kFailed) == (starts == 3));
  }
}

TEST_CASE("Scheduler: the pause before a retry is stored and goes on after a controller restart",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  farm.Report("t", 1, FailureClass::kNetwork);
  REQUIRE(farm.Changed<store::RequeueTask>() != nullptr);
  CHECK(farm.Changed<store::RequeueTask>()->not_before == farm.wall() + seconds(1));

  domain::Task task = Row(Farm::Build("t"), TaskState::kQueued, 1);
  task.not_before = farm.wall() + seconds(40);
  farm.core.Load({{task}, {}}, farm.now, farm.wall());
  farm.Connect("a", 1, {}, 1, 2);
  farm.Pass(seconds(39));
  CHECK(farm.Changed<store::OfferTask>() == nullptr);
  farm.Pass(seconds(1));
  CHECK(farm.WantOf(Farm::Key("t", 2)) == Want::kOffer);
}

TEST_CASE("Scheduler: a clock that was set back makes no pause longer than the longest",
          "[unit][scheduler]") {
  Farm farm;
  domain::Task task = Row(Farm::Build("t"), TaskState::kQueued, 1);
  task.not_before = farm.wall() + std::chrono::hours(24 * 365);
  farm.core.Load({{task}, {}}, farm.now, farm.wall());
  farm.Pass(minutes(5) - seconds(1));
  farm.Connect("a", 1);
  CHECK(farm.WantOf(Farm::Key("t", 2)) == std::nullopt);
  farm.Pass(seconds(1));
  CHECK(farm.WantOf(Farm::Key("t", 2)) == Want::kOffer);
}

TEST_CASE("Scheduler: builds of one group run one at a time in the order of submit",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1, {}, 8);
  domain::Task urgent = Grouped("v", "nightly");
  urgent.priority = 100;
  farm.Submit({Grouped("t", "nightly")});
  farm.Submit({Grouped("u", "nightly")});
  farm.Submit({urgent});
  farm.Submit({Grouped("x", "hourly")});
  CHECK(farm.WantOf(Farm::Key("x")) == Want::kOffer);
  farm.Run("t");
  CHECK(farm.core.unfinished() == 4);
  // A retry keeps the turn.
  farm.Report("t", 1, FailureClass::kNetwork);
  CHECK(farm.WantOf(Farm::Key("u")) == std::nullopt);
  farm.Pass(seconds(1));
  CHECK(farm.WantOf(Farm::Key("t", 2)) == Want::kOffer);
  farm.Run("t", 2);
  farm.Report("t", 2, FailureClass::kBuild);
  CHECK(farm.WantOf(Farm::Key("u")) == Want::kOffer);
  CHECK(farm.WantOf(Farm::Key("v")) == std::nullopt);
  farm.Do(Cancel{Ticket(9), TaskId("u"), "dev", "no"});
  CHECK(farm.WantOf(Farm::Key("v")) == Want::kOffer);
}

TEST_CASE("Scheduler: one name is another group in another application", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1, {}, 8);
  farm.Submit({Grouped("t", "nightly")});
  domain::Task other = Farm::Build("u", "other");
  other.group = "nightly";
  farm.Submit({other});
  CHECK(farm.WantOf(Farm::Key("u")) == Want::kOffer);
}

TEST_CASE("Scheduler: publishes to one target go in the order of submit, however fast the builds",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1, {}, 8);
  farm.Submit({Farm::Build("t"), Farm::Publish("p", "t")});
  farm.Submit({Farm::Build("u"), Farm::Publish("q", "u")});
  domain::Task elsewhere = Farm::Publish("r", "u");
  elsewhere.target = "trial";
  farm.Submit({Farm::Build("v"), elsewhere});
  farm.Run("t");
  farm.Run("u");
  farm.Succeed("u");
  CHECK(farm.WantOf(Farm::Key("q")) == std::nullopt);
  farm.Succeed("t");
  CHECK(farm.WantOf(Farm::Key("p")) == Want::kOffer);
  CHECK(farm.WantOf(Farm::Key("q")) == std::nullopt);
  farm.Run("p");
  farm.Succeed("p");
  CHECK(farm.WantOf(Farm::Key("q")) == Want::kOffer);
}

TEST_CASE("Scheduler: a publish whose build failed gives its turn away", "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1, {}, 8);
  farm.Submit({Farm::Build("t"), Farm::Publish("p", "t")});
  farm.Submit({Farm::Build("u"), Farm::Publish("q", "u")});
  farm.Run("t");
  farm.Run("u");
  farm.Succeed("u");
  farm.Report("t", 1, FailureClass::kBuild);
  CHECK(farm.Finished("p") == TaskState::kSkipped);
  CHECK(farm.WantOf(Farm::Key("q")) == Want::kOffer);
}

TEST_CASE(
    "Scheduler: a publish of unknown outcome holds its target until it is resolved, "
    "also after a controller restart",
    "[unit][scheduler]") {
  Farm farm;
  const domain::Task unknown = Row(Farm::Publish("p", "t"), TaskState::kUnknown, 1);
  const domain::Task next = Row(Farm::Publish("q", "u"), TaskState::kQueued);
  farm.core.Load({{unknown, next}, {PermitOf("p")}}, farm.now, farm.wall());
  farm.Connect("a", 1, {{Farm::Key("p"), TaskKind::kPublish, protocol::AttemptPhase::kFinished}},
               4);
  CHECK(farm.WantOf(Farm::Key("q")) == std::nullopt);
  farm.Succeed("p");
  CHECK(farm.Finished("p") == TaskState::kSucceeded);
  CHECK(farm.WantOf(Farm::Key("q")) == Want::kOffer);
}

TEST_CASE("Scheduler: whoever holds a group after a controller restart keeps it, first or not",
          "[unit][scheduler]") {
  Farm farm;
  farm.core.Load(
      {{Row(Grouped("t", "g"), TaskState::kQueued), Row(Grouped("u", "g"), TaskState::kRunning, 1)},
       {},
       {}},
      farm.now, farm.wall());
  farm.Connect("a", 1, {{Farm::Key("u"), TaskKind::kBuild, protocol::AttemptPhase::kRunning}}, 4);
  CHECK(farm.WantOf(Farm::Key("t")) == std::nullopt);
  farm.Succeed("u");
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kOffer);
}

TEST_CASE("Scheduler: no permit while another publish to the target holds one",
          "[unit][scheduler]") {
  // Rows of a time before groups: two publishes to one target run at once.
  for (const bool other_permitted : {true, false}) {
    Farm farm;
    store::Unfinished rows{{Row(Farm::Publish("p", "t"), TaskState::kRunning, 1),
                            Row(Farm::Publish("q", "u"), TaskState::kRunning, 1)},
                           {}};
    if (other_permitted) rows.permits.push_back(PermitOf("p"));
    farm.core.Load(rows, farm.now, farm.wall());
    farm.Connect("a", 1,
                 {{Farm::Key("p"), TaskKind::kPublish, protocol::AttemptPhase::kRunning},
                  {Farm::Key("q"), TaskKind::kPublish, protocol::AttemptPhase::kRunning}},
                 4);
    PermitRequested request;
    request.from = Farm::kA;
    request.key = Farm::Key("q");
    request.nonce = "nonce-q";
    farm.Do(request);
    CHECK((farm.Told<protocol::Permit>() != nullptr) != other_permitted);
    if (!other_permitted) continue;
    REQUIRE(farm.Told<protocol::PermitDenied>() != nullptr);
    CHECK(farm.Told<protocol::PermitDenied>()->failure.reason == "GROUP_HELD");
    CHECK(farm.Changed<store::GrantPermit>() == nullptr);
  }
}

TEST_CASE("Scheduler: a task that waits longer than its queue timeout fails", "[unit][scheduler]") {
  Farm farm;
  domain::Task task = Impatient("t");
  task.queued_since = farm.wall();
  farm.Submit({task, Farm::Publish("p", "t")});
  farm.Pass(minutes(10) - seconds(1));
  CHECK(farm.changes.empty());
  farm.Pass(seconds(1));
  CHECK(farm.Finished("t") == TaskState::kFailed);
  CHECK(farm.Finished("p") == TaskState::kSkipped);
  REQUIRE(farm.Changed<store::FinishTask>() != nullptr);
  const auto failure = farm.Changed<store::FinishTask>()->result->failure;
  CHECK(failure->klass == FailureClass::kTimeout);
  CHECK(failure->reason == "QUEUE_TIMEOUT");
  CHECK_FALSE(failure->remedy_zh.empty());
}

TEST_CASE("Scheduler: an offer that is refused does not give a task more time to wait",
          "[unit][scheduler]") {
  Farm farm;
  domain::Task task = Impatient("t");
  task.queued_since = farm.wall();
  farm.Submit({task});
  farm.Pass(minutes(10) - seconds(1));
  farm.Connect("a", 1);
  REQUIRE(farm.WantOf(Farm::Key("t")) == Want::kOffer);
  // The time ends while an agent thinks about it; it may still take it.
  farm.Pass(seconds(2));
  CHECK(farm.Finished("t") == std::nullopt);
  farm.Do(Refused{Farm::kA, Farm::Key("t"), "no room"});
  CHECK(farm.Finished("t") == TaskState::kFailed);
}

TEST_CASE("Scheduler: a lost attempt begins a new wait", "[unit][scheduler]") {
  Farm farm;
  domain::Task task = Impatient("t");
  task.queued_since = farm.wall();
  farm.Connect("a", 1);
  farm.Submit({task});
  farm.Run("t");
  farm.Pass(seconds(30));
  farm.Do(SessionClosed{Farm::kA});
  farm.Pass(kLease);
  REQUIRE(farm.Changed<store::RequeueTask>() != nullptr);
  farm.Pass(minutes(10) - seconds(1));
  CHECK(farm.changes.empty());
  farm.Pass(seconds(1));
  CHECK(farm.Finished("t") == TaskState::kFailed);
}

TEST_CASE("Scheduler: a publish's wait begins when its build is over", "[unit][scheduler]") {
  Farm farm;
  domain::Task publish = Farm::Publish("p", "t");
  publish.queue_timeout = minutes(10);
  publish.requirements = {{"zone", "nowhere"}};
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t"), publish});
  farm.Run("t");
  std::uint64_t sequence = 1;
  const auto work = [&](std::vector<protocol::AttemptStatus> held) {
    farm.Pass(seconds(50));
    const bool ended = farm.Finished("p").has_value();
    farm.Connect("a", 1, std::move(held), 1, ++sequence);
    return ended;
  };
  for (int i = 0; i < 15; ++i) {
    CHECK_FALSE(work({{Farm::Key("t"), TaskKind::kBuild, protocol::AttemptPhase::kRunning}}));
  }
  farm.Succeed("t");
  CHECK(farm.Changed<store::ReleaseTask>() != nullptr);
  for (int i = 0; i < 11; ++i) CHECK_FALSE(work({}));
  CHECK(work({}));
}

TEST_CASE("Scheduler: a wait that ended while the controller was away ends after the grace",
          "[unit][scheduler]") {
  Farm farm;
  domain::Task task = Row(Impatient("t"), TaskState::kQueued);
  task.queued_since = farm.wall() - minutes(60);
  farm.core.Load({{task}, {}}, farm.now, farm.wall());
  farm.Pass(kGrace - seconds(1));
  CHECK(farm.changes.empty());
  farm.Pass(seconds(1));
  CHECK(farm.Finished("t") == TaskState::kFailed);
}

}  // namespace
}  // namespace slipway::scheduler
