#include <chrono>

#include "tests/support/status_matchers.h"
#include "tests/unit/scheduler_farm.h"

namespace slipway::scheduler {
namespace {

using domain::AgentMode;
using domain::TaskState;
using protocol::AttemptPhase;
using protocol::AttemptStatus;
using protocol::Want;
using namespace std::chrono_literals;

struct OperatedFarm : Farm {
  void Wish(const std::string& agent, AgentMode mode, Duration pause = {}) {
    domain::Availability wanted{
        .mode = mode, .reason = "disk", .by = "admin", .since = {}, .until = {}};
    if (pause > Duration::zero()) wanted.until = wall() + pause;
    Do(ChangeAgent{Ticket(++ticket), AgentId(agent), wanted});
    REQUIRE(replies.size() == 1);
    CHECK(replies[0].status.ok());
  }
  // The modes that the last event stored.
  std::vector<AgentMode> Stored() const {
    std::vector<AgentMode> modes;
    for (const auto& change : changes) {
      const auto* set = std::get_if<store::SetAvailability>(&change);
      if (set != nullptr) modes.push_back(set->availability.mode);
    }
    return modes;
  }
  AttemptStatus Running(const std::string& task) {
    return {Key(task), protocol::TaskKind::kBuild, AttemptPhase::kRunning};
  }
};

TEST_CASE("SchedulerCore: a paused or draining agent is offered nothing until it is resumed",
          "[unit][scheduler]") {
  const AgentMode mode = GENERATE(AgentMode::kPaused, AgentMode::kDraining);
  OperatedFarm farm;
  farm.Connect("a", 1);
  farm.Wish("a", mode);
  CHECK(farm.Stored() == std::vector<AgentMode>{mode});
  farm.Submit({Farm::Build("t")});
  CHECK_FALSE(farm.WantOf(Farm::Key("t")));
  REQUIRE(farm.Why("t").agents.size() == 1);
  CHECK(farm.Why("t").agents[0].condition ==
        (mode == AgentMode::kPaused ? AgentCondition::kPaused : AgentCondition::kDraining));
  // Also not after it connected again.
  farm.Connect("a", 2);
  CHECK_FALSE(farm.WantOf(Farm::Key("t")));
  farm.Wish("a", AgentMode::kActive);
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kOffer);
}

TEST_CASE("SchedulerCore: what a paused agent runs goes on", "[unit][scheduler]") {
  OperatedFarm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  farm.Wish("a", AgentMode::kPaused);
  farm.Connect("a", 1, {farm.Running("t")}, 1, 2);
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kKeep);
  farm.Succeed("t");
  CHECK(farm.Finished("t") == TaskState::kSucceeded);
}

TEST_CASE("SchedulerCore: a pause ends by itself when its time is over", "[unit][scheduler]") {
  OperatedFarm farm;
  farm.Connect("a", 1);
  farm.Wish("a", AgentMode::kPaused, 30s);
  farm.Submit({Farm::Build("t")});
  farm.Pass(29s);
  CHECK_FALSE(farm.WantOf(Farm::Key("t")));
  farm.Pass(1s);
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kOffer);
}

TEST_CASE("SchedulerCore: a controller that starts knows who is paused, and until when",
          "[unit][scheduler]") {
  OperatedFarm farm;
  store::Unfinished rows;
  rows.availability[AgentId("a")] = {.mode = AgentMode::kPaused,
                                     .reason = "disk",
                                     .by = "admin",
                                     .since = {},
                                     .until = farm.wall() + 30s};
  rows.availability[AgentId("b")] = rows.availability[AgentId("a")];
  rows.availability[AgentId("b")].until = farm.wall();
  farm.core.Load(rows, farm.now, farm.wall());
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  CHECK_FALSE(farm.WantOf(Farm::Key("t")));
  farm.Connect("b", 2);
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kOffer);
  farm.Submit({Farm::Build("u")});
  CHECK_FALSE(farm.WantOf(Farm::Key("u")));
  farm.Pass(30s);
  CHECK(farm.WantOf(Farm::Key("u")) == Want::kOffer);
}

TEST_CASE("SchedulerCore: nothing holds before it is stored, and a refusal changes nothing",
          "[unit][scheduler]") {
  OperatedFarm farm;
  farm.Connect("a", 1);
  const domain::Availability revoked{
      .mode = AgentMode::kRevoked, .reason = "", .by = "admin", .since = {}, .until = {}};
  farm.core.Apply(ChangeAgent{Ticket(7), AgentId("a"), revoked}, farm.now, farm.wall());
  const auto changes = farm.core.TakeChanges();
  REQUIRE(changes.size() == 1);
  const Effects effects =
      farm.core.OnCommitted({absl::AbortedError("gone")}, farm.now, farm.wall());
  REQUIRE(effects.replies.size() == 1);
  CHECK(effects.replies[0].status.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(effects.dismissed.empty());
  CHECK_FALSE(effects.reload);
  farm.Submit({Farm::Build("t")});
  CHECK(farm.WantOf(Farm::Key("t")) == Want::kOffer);
}

TEST_CASE("SchedulerCore: what a revoked agent held goes elsewhere at once, and it is not heard",
          "[unit][scheduler]") {
  OperatedFarm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  farm.Connect("b", 2);
  farm.Wish("a", AgentMode::kRevoked);
  REQUIRE(farm.dismissed.size() == 1);
  CHECK(farm.dismissed[0].agent == AgentId("a"));
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
  CHECK(farm.WantOf(Farm::Key("t", 2)) == Want::kOffer);
  CHECK_FALSE(farm.core.IsCurrent(AgentId("a"), Farm::Key("t")));
  // Its stream may still have something to say.
  farm.Report("t", 1, protocol::FailureClass::kBuild);
  CHECK(farm.changes.empty());
  farm.Connect("a", 1, {farm.Running("t")}, 1, 2);
  farm.Connect("a", 9);
  farm.Submit({Farm::Build("u")});
  CHECK_FALSE(farm.WantOf(Farm::Key("u")));
  // It is no agent of the farm any more, also for whoever asks why a task waits.
  CHECK(farm.Why("u").agents.size() == 1);
}

TEST_CASE("SchedulerCore: a publish that a revoked agent may have begun is unknown",
          "[unit][scheduler]") {
  OperatedFarm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t"), Farm::Publish("p", "t")});
  farm.Run("t");
  farm.Succeed("t");
  farm.Run("p");
  farm.Do(PermitRequested{Farm::kA, Farm::Key("p"), {}, "nonce"});
  REQUIRE(farm.Told<protocol::Permit>() != nullptr);
  farm.Wish("a", AgentMode::kRevoked);
  CHECK(farm.Changed<store::MarkUnknown>() != nullptr);
}

// Commits the revocation of a connected agent "a" with an error of the whole call.
struct RevokingFarm : OperatedFarm {
  RevokingFarm() {
    Connect("a", 1);
    const domain::Availability revoked{
        .mode = AgentMode::kRevoked, .reason = "", .by = "admin", .since = {}, .until = {}};
    core.Apply(ChangeAgent{Ticket(7), AgentId("a"), revoked}, now, wall());
    (void)core.TakeChanges();
  }
  // The rows are read; then the agent connects anew and there is a task for it.
  void Read(bool remains) {
    store::Unfinished rows;
    if (remains) {
      rows.agents = {{.id = AgentId("a"), .name = "a", .labels = {}, .seen = true}};
    }
    dismissed.clear();
    core.Load(std::move(rows), now, wall());
    Commit();
  }
  bool TakesWork() {
    Connect("a", 9);
    Submit({Build("t")});
    return WantOf(Key("t")) == Want::kOffer;
  }
};

TEST_CASE("SchedulerCore: a revocation in doubt ends the agent's streams, and the row decides",
          "[unit][scheduler]") {
  RevokingFarm farm;
  const Effects effects = farm.core.OnInDoubt();
  CHECK(effects.reload);
  CHECK(effects.disconnected == std::vector<AgentId>{AgentId("a")});
  CHECK(effects.dismissed.empty());
  REQUIRE(effects.replies.size() == 1);
  CHECK_THAT(effects.replies[0].status,
             testing::StatusIs(absl::StatusCode::kUnavailable, "COMMIT_IN_DOUBT"));
  const bool remains = GENERATE(true, false);
  farm.Read(remains);
  CHECK(farm.dismissed.size() == (remains ? 0 : 1));
  CHECK(farm.TakesWork() == remains);
}

TEST_CASE("SchedulerCore: a revocation that the database did not take leaves the agent alone",
          "[unit][scheduler]") {
  RevokingFarm farm;
  const Effects effects =
      farm.core.OnNotStored(absl::ResourceExhaustedError("no space left on device"));
  CHECK(effects.reload);
  CHECK(effects.disconnected.empty());
  CHECK(effects.dismissed.empty());
  REQUIRE(effects.replies.size() == 1);
  CHECK_THAT(effects.replies[0].status,
             testing::StatusIs(absl::StatusCode::kUnavailable, "NOT_STORED"));
  CHECK(std::string(effects.replies[0].status.message()).find("no space left") !=
        std::string::npos);
  farm.Read(true);
  CHECK(farm.dismissed.empty());
  CHECK(farm.TakesWork());
}

TEST_CASE("SchedulerCore: a retiring agent finishes, says that it holds nothing, and is retired",
          "[unit][scheduler]") {
  OperatedFarm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  farm.Connect("a", 1, {farm.Running("t")}, 2, 2);
  farm.Submit({Farm::Build("u")});
  REQUIRE(farm.WantOf(Farm::Key("u")) == Want::kOffer);
  farm.Do(Refused{Farm::kA, Farm::Key("u"), "busy"});
  farm.Wish("a", AgentMode::kRetiring);
  CHECK(farm.Stored() == std::vector<AgentMode>{AgentMode::kRetiring});
  farm.Succeed("t");
  // It has yet to clean up.
  CHECK(farm.Stored().empty());
  farm.Connect("a", 1, {{Farm::Key("t"), protocol::TaskKind::kBuild, AttemptPhase::kFinished}}, 2,
               3);
  CHECK(farm.Stored().empty());
  farm.Connect("a", 1, {}, 2, 4);
  CHECK(farm.Stored() == std::vector<AgentMode>{AgentMode::kRetired});
  REQUIRE(farm.dismissed.size() == 1);
  CHECK(farm.dismissed[0].availability.mode == AgentMode::kRetired);
}

TEST_CASE("SchedulerCore: a retiring agent that is offline without a task is retired at once",
          "[unit][scheduler]") {
  OperatedFarm farm;
  farm.Wish("a", AgentMode::kRetiring);
  CHECK(farm.Stored() == std::vector<AgentMode>{AgentMode::kRetiring, AgentMode::kRetired});
}

// A farm whose agent "a" went silent with leave to publish "p".
struct SilentFarm : OperatedFarm {
  SilentFarm() {
    Connect("a", 1);
    Submit({Build("t"), Publish("p", "t")});
    Run("t");
    Succeed("t");
    Run("p");
    Do(PermitRequested{kA, Key("p"), {}, "nonce"});
    Do(SessionClosed{kA});
    Pass(kLease);
    REQUIRE(Changed<store::MarkUnknown>() != nullptr);
  }
  void ResolveIt() {
    Resolve word;
    word.ticket = Ticket(99);
    word.task = TaskId("p");
    word.resolution.verdict = domain::PublishVerdict::kPublished;
    word.result.emplace();
    word.release.emplace();
    Do(word);
    REQUIRE(Finished("p") == domain::TaskState::kSucceeded);
  }
};

TEST_CASE("SchedulerCore: an agent is not retired while it may bring the word about a publish",
          "[unit][scheduler]") {
  SilentFarm farm;
  const bool resolved = GENERATE(true, false);
  if (resolved) farm.ResolveIt();
  farm.Wish("a", AgentMode::kRetiring);
  CHECK(farm.Stored() == std::vector<AgentMode>{AgentMode::kRetiring});
  farm.Connect("a", 9, {{Farm::Key("p"), protocol::TaskKind::kPublish, AttemptPhase::kFinished}});
  CHECK(farm.Stored().empty());
  ResultReported word = ReportOf({AgentId("a"), SessionId(9)}, Farm::Key("p"));
  word.log = LogState::kComplete;
  word.release = domain::Release{};
  farm.Do(word);
  CHECK((farm.Changed<store::RecordLateResult>() != nullptr) == resolved);
  CHECK((farm.Finished("p") == domain::TaskState::kSucceeded) == !resolved);
  farm.Connect("a", 9, {}, 1, 2);
  CHECK(farm.Stored() == std::vector<AgentMode>{AgentMode::kRetired});
}

TEST_CASE("SchedulerCore: of a revoked agent no word about a publish is awaited",
          "[unit][scheduler]") {
  SilentFarm farm;
  const bool resolved_first = GENERATE(true, false);
  if (resolved_first) farm.ResolveIt();
  farm.Wish("a", AgentMode::kRevoked);
  if (!resolved_first) farm.ResolveIt();
  CHECK_FALSE(farm.core.IsCurrent(AgentId("a"), Farm::Key("p")));
}

TEST_CASE("SchedulerCore: a retiring agent gets the grace period to find a new controller",
          "[unit][scheduler]") {
  OperatedFarm farm;
  store::Unfinished rows;
  rows.agents = {{.id = AgentId("a"), .name = "a", .labels = {}, .seen = true}};
  rows.availability[AgentId("a")].mode = AgentMode::kRetiring;
  farm.changes.clear();
  farm.core.Load(rows, farm.now, farm.wall());
  farm.Commit();
  CHECK(farm.Stored().empty());
  REQUIRE(farm.core.NextDeadline().has_value());
  farm.Pass(kGrace);
  CHECK(farm.Stored() == std::vector<AgentMode>{AgentMode::kRetired});
}

TEST_CASE("SchedulerCore: a retirement can be taken back until it is complete",
          "[unit][scheduler]") {
  OperatedFarm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  farm.Run("t");
  farm.Wish("a", AgentMode::kRetiring);
  farm.Wish("a", AgentMode::kActive);
  farm.Succeed("t");
  farm.Connect("a", 1, {}, 1, 2);
  CHECK(farm.Stored().empty());
  farm.Submit({Farm::Build("u")});
  CHECK(farm.WantOf(Farm::Key("u")) == Want::kOffer);
}

TEST_CASE("Scheduler: after a revocation in doubt the agent is not listened to any more",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t")});
  REQUIRE(farm.WantOf(Farm::Key("t")) == Want::kOffer);
  domain::Task offered = Farm::Build("t");
  offered.state = domain::TaskState::kOffered;
  offered.attempt = Attempt(1);
  offered.agent = AgentId("a");

  domain::Availability revoked;
  revoked.mode = domain::AgentMode::kRevoked;
  farm.core.Apply(ChangeAgent{Ticket(9), AgentId("a"), revoked}, farm.now, farm.wall());
  (void)farm.core.TakeChanges();
  CHECK(farm.core.OnInDoubt().disconnected == std::vector<AgentId>{AgentId("a")});
  farm.core.Load({{offered}, {}}, farm.now, farm.wall());
  // What it had said before its stream ended.
  farm.Do(Accepted{Farm::kA, Farm::Key("t")});
  CHECK(farm.Changed<store::StartTask>() == nullptr);
}

}  // namespace
}  // namespace slipway::scheduler
