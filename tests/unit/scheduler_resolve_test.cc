#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <utility>

#include "controller/scheduler/scheduler_core.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/scheduler_farm.h"

namespace slipway::scheduler {
namespace {

using absl::StatusCode;
using domain::PublishVerdict;
using domain::TaskKind;
using domain::TaskState;
using protocol::AttemptPhase;
using protocol::FailureClass;
using protocol::Want;
using std::chrono::seconds;
using testing::StatusIs;

constexpr Duration kDeadline = seconds(600);
constexpr Duration kPermit = seconds(120);
constexpr Duration kMargin = seconds(60);

// A farm whose publish "p" on agent a had its permit at `granted`.
struct UnknownFarm : Farm {
  UnknownFarm() {
    Connect("a", 1);
    Submit({Build("t"), Publish("p", "t")});
    Run("t");
    Succeed("t");
    Run("p");
    granted = wall();
    Do(PermitRequested{.from = kA,
                       .key = Key("p"),
                       .manifest = *Sha256Digest::FromBytes(std::string(32, 'm')),
                       .nonce = "one",
                       .sequence = 1,
                       .deadline = kDeadline});
  }
  // Asks for the permit again.
  Duration ValidFor() {
    Do(PermitRequested{.from = kA,
                       .key = Key("p"),
                       .manifest = *Sha256Digest::FromBytes(std::string(32, 'm')),
                       .nonce = "two",
                       .sequence = 2,
                       .deadline = kDeadline});
    const auto* permit = Told<protocol::Permit>();
    return permit == nullptr ? Duration::zero() : permit->valid_for;
  }
  // What the rows hold of the publish, of which nothing was heard.
  [[nodiscard]] store::Unfinished Rows() const {
    store::Unfinished rows;
    domain::Task task = Farm::Publish("p", "t");
    task.state = TaskState::kUnknown;
    task.attempt = Attempt(1);
    task.agent = AgentId("a");
    rows.tasks = {task};
    rows.agents = {{.id = AgentId("a"), .name = "a", .labels = {}, .seen = true}};
    rows.permits = {{.key = Key("p"),
                     .nonce = "one",
                     .manifest = {},
                     .not_after = granted + kPermit,
                     .deadline = kDeadline,
                     .client_ended_at = {},
                     .reported = false}};
    return rows;
  }
  // The agent is silent beyond its lease.
  void LoseAgent() {
    Do(SessionClosed{kA});
    Pass(kLease);
    REQUIRE(Changed<store::MarkUnknown>() != nullptr);
  }
  // The agent itself does not know.
  void ReportUnknown(bool client_ended) {
    ResultReported event = ReportOf(kA, Key("p"));
    event.result.failure = protocol::Failure{};
    event.result.failure->klass = FailureClass::kPublishUnknown;
    event.result.client_ended = client_ended;
    event.log = LogState::kComplete;
    Do(event);
    REQUIRE(Changed<store::MarkUnknown>() != nullptr);
    CHECK(Changed<store::MarkUnknown>()->reported);
  }
  static Resolve Word(PublishVerdict verdict) {
    Resolve resolve;
    resolve.ticket = Ticket(77);
    resolve.task = TaskId("p");
    resolve.resolution = {.verdict = verdict,
                          .resolved_by = "admin",
                          .resolved_at = {},
                          .probe = {},
                          .reason = "looked at the console",
                          .late_result = {}};
    resolve.result.emplace();
    if (verdict == PublishVerdict::kPublished) {
      resolve.release = domain::Release{};
    } else {
      resolve.result->failure = protocol::Failure{};
    }
    return resolve;
  }
  absl::Status Say(PublishVerdict verdict) { return Say(verdict, now); }
  absl::Status Say(PublishVerdict verdict, MonoTime said_at) {
    Resolve word = Word(verdict);
    word.said_at = wall() - (now - said_at);
    word.said_at_mono = said_at;
    Do(word);
    REQUIRE(replies.size() == 1);
    return replies.at(0).status;
  }
  // The agent is back with its result.
  void Late(bool published, bool known = true) {
    Connect("a", 9, {{Key("p"), TaskKind::kPublish, AttemptPhase::kFinished}});
    REQUIRE(WantOf(Key("p")) == Want::kKeep);
    ResultReported late = ReportOf({AgentId("a"), SessionId(9)}, Key("p"));
    late.log = LogState::kComplete;
    if (published) {
      late.release = domain::Release{};
    } else {
      late.result.failure = protocol::Failure{};
      late.result.failure->klass =
          known ? FailureClass::kPlatformRefused : FailureClass::kPublishUnknown;
    }
    Do(late);
  }
  WallTime granted;
};

TEST_CASE("Scheduler: \"not published\" waits for permit, deadline and margin to pass",
          "[unit][scheduler]") {
  UnknownFarm farm;
  farm.LoseAgent();
  const WallTime quiet = farm.granted + kPermit + kDeadline + kMargin;
  farm.now += quiet - farm.wall() - seconds(1);
  const absl::Status early = farm.Say(PublishVerdict::kNotPublished);
  CHECK_THAT(early, StatusIs(StatusCode::kFailedPrecondition, "RESOLVE_TOO_EARLY"));
  // 1000 s of the test's clock, and what the rule adds.
  CHECK(std::string(early.message()).find("1970-01-01T00:29:40Z") != std::string::npos);
  CHECK(farm.changes.empty());
  farm.now += seconds(1);
  CHECK_OK(farm.Say(PublishVerdict::kNotPublished));
  CHECK(farm.Finished("p") == TaskState::kFailed);
  REQUIRE(farm.Changed<store::FinishTask>()->resolution);
  CHECK(farm.Changed<store::FinishTask>()->resolution->resolved_at == farm.wall());
  CHECK(farm.Changed<store::FinishTask>()->cause.actor == "admin");
  CHECK_FALSE(farm.Changed<store::FinishTask>()->release);
}

TEST_CASE("Scheduler: a wall clock set forward does not make \"not published\" come sooner",
          "[unit][scheduler]") {
  UnknownFarm farm;
  farm.LoseAgent();
  farm.wall_ahead = std::chrono::hours(1);
  const absl::Status early = farm.Say(PublishVerdict::kNotPublished);
  CHECK_THAT(early, StatusIs(StatusCode::kFailedPrecondition, "RESOLVE_TOO_EARLY"));
  // What is still to wait, by the clock on the wall.
  CHECK(std::string(early.message()).find("1970-01-01T01:29:40Z") != std::string::npos);
  SECTION("nor does it after the rows were read again") {
    farm.core.Load(farm.Rows(), farm.now, farm.wall());
  }
  farm.now += kPermit + kDeadline + kMargin - kLease - seconds(1);
  CHECK_THAT(farm.Say(PublishVerdict::kNotPublished),
             StatusIs(StatusCode::kFailedPrecondition, "RESOLVE_TOO_EARLY"));
  farm.now += seconds(1);
  CHECK_OK(farm.Say(PublishVerdict::kNotPublished));
}

TEST_CASE("Scheduler: a controller that was restarted waits as if the permit were new",
          "[unit][scheduler]") {
  const UnknownFarm before;
  UnknownFarm farm;
  farm.core = SchedulerCore(Farm::Options());
  farm.wall_ahead = std::chrono::hours(1);
  farm.core.Load(before.Rows(), farm.now, farm.wall());
  farm.Commit();
  farm.now += kPermit + kDeadline + kMargin - seconds(1);
  CHECK_THAT(farm.Say(PublishVerdict::kNotPublished),
             StatusIs(StatusCode::kFailedPrecondition, "RESOLVE_TOO_EARLY"));
  farm.now += seconds(1);
  CHECK_OK(farm.Say(PublishVerdict::kNotPublished));
}

TEST_CASE("Scheduler: a wall clock set back does not make a permit last longer",
          "[unit][scheduler]") {
  UnknownFarm farm;
  farm.now += seconds(100);
  farm.wall_ahead = -std::chrono::hours(1);
  CHECK(farm.ValidFor() == kPermit - seconds(100));
  farm.now += seconds(20);
  CHECK(farm.ValidFor() == Duration::zero());
  CHECK(farm.Told<protocol::PermitDenied>() != nullptr);
}

TEST_CASE("Scheduler: a client seen dead shortens the wait to the margin", "[unit][scheduler]") {
  UnknownFarm farm;
  farm.ReportUnknown(true);
  CHECK_THAT(farm.Say(PublishVerdict::kNotPublished),
             StatusIs(StatusCode::kFailedPrecondition, "RESOLVE_TOO_EARLY"));
  farm.now += kMargin;
  CHECK_OK(farm.Say(PublishVerdict::kNotPublished));

  UnknownFarm unseen;
  unseen.ReportUnknown(false);
  unseen.now += kMargin;
  CHECK_THAT(unseen.Say(PublishVerdict::kNotPublished),
             StatusIs(StatusCode::kFailedPrecondition, "RESOLVE_TOO_EARLY"));
}

TEST_CASE("Scheduler: a word that was said too early is not taken later for having waited",
          "[unit][scheduler]") {
  UnknownFarm farm;
  farm.ReportUnknown(true);
  const MonoTime said_at = farm.now;
  farm.now += kMargin;
  CHECK_THAT(farm.Say(PublishVerdict::kNotPublished, said_at),
             StatusIs(StatusCode::kFailedPrecondition, "RESOLVE_TOO_EARLY"));
  CHECK_OK(farm.Say(PublishVerdict::kPublished, said_at));
}

TEST_CASE("Scheduler: the wait survives a restart of the controller", "[unit][scheduler]") {
  UnknownFarm farm;
  farm.ReportUnknown(true);
  const WallTime reported = farm.wall();
  store::Unfinished stored = farm.Rows();
  stored.permits.front().client_ended_at = reported;
  stored.permits.front().reported = true;
  farm.core.Load(stored, farm.now, farm.wall());
  CHECK_THAT(farm.Say(PublishVerdict::kNotPublished),
             StatusIs(StatusCode::kFailedPrecondition, "RESOLVE_TOO_EARLY"));
  farm.now += kMargin;
  CHECK_OK(farm.Say(PublishVerdict::kNotPublished));
}

TEST_CASE("Scheduler: \"published\" may be said at once, and only of an unknown publish",
          "[unit][scheduler]") {
  UnknownFarm farm;
  CHECK_THAT(farm.Say(PublishVerdict::kPublished),
             StatusIs(StatusCode::kFailedPrecondition, "NOT_UNKNOWN"));
  farm.LoseAgent();
  Resolve unprepared = UnknownFarm::Word(PublishVerdict::kPublished);
  unprepared.result.reset();
  farm.Do(unprepared);
  CHECK_THAT(farm.replies.at(0).status, StatusIs(StatusCode::kUnavailable));
  CHECK_OK(farm.Say(PublishVerdict::kPublished));
  CHECK(farm.Finished("p") == TaskState::kSucceeded);
  CHECK(farm.Changed<store::FinishTask>()->release.has_value());
  CHECK_THAT(farm.Say(PublishVerdict::kPublished), StatusIs(StatusCode::kNotFound));
  CHECK(farm.changes.empty());
}

TEST_CASE("Scheduler: the attempt's late word is recorded once and wins when it was published",
          "[unit][scheduler]") {
  for (const PublishVerdict verdict : {PublishVerdict::kPublished, PublishVerdict::kNotPublished}) {
    for (const bool published : {true, false}) {
      UnknownFarm farm;
      farm.LoseAgent();
      farm.now += kPermit + kDeadline + kMargin;
      CHECK_OK(farm.Say(verdict));
      farm.Late(published);
      const auto* late = farm.Changed<store::RecordLateResult>();
      REQUIRE(late != nullptr);
      CHECK(late->result.ok() == published);
      CHECK(late->release.has_value() == (published && verdict == PublishVerdict::kNotPublished));
      CHECK(farm.WantOf(Farm::Key("p")) == Want::kForget);
      // It says no more.
      farm.Connect("a", 10, {{Farm::Key("p"), TaskKind::kPublish, AttemptPhase::kFinished}});
      CHECK(farm.WantOf(Farm::Key("p")) == Want::kForget);
    }
  }
}

TEST_CASE("Scheduler: of a publish whose agent said its last word, nothing late is awaited",
          "[unit][scheduler]") {
  UnknownFarm farm;
  farm.ReportUnknown(true);
  CHECK_OK(farm.Say(PublishVerdict::kPublished));
  farm.Connect("a", 9, {{Farm::Key("p"), TaskKind::kPublish, AttemptPhase::kFinished}});
  CHECK(farm.WantOf(Farm::Key("p")) == Want::kForget);
}

TEST_CASE("Scheduler: an agent that comes back unknowing after a resolve changes nothing",
          "[unit][scheduler]") {
  UnknownFarm farm;
  farm.LoseAgent();
  CHECK_OK(farm.Say(PublishVerdict::kPublished));
  CHECK(farm.core.IsCurrent(AgentId("a"), Farm::Key("p")));
  farm.Late(false, false);
  REQUIRE(farm.Changed<store::RecordLateResult>() != nullptr);
  CHECK(farm.Changed<store::MarkUnknown>() == nullptr);
  CHECK_FALSE(farm.Changed<store::RecordLateResult>()->release);
  CHECK_FALSE(farm.core.IsCurrent(AgentId("a"), Farm::Key("p")));
}

TEST_CASE("Scheduler: the late word of an agent that does not know the attempt is not awaited",
          "[unit][scheduler]") {
  UnknownFarm farm;
  farm.LoseAgent();
  const bool resolved_first = GENERATE(true, false);
  if (resolved_first) CHECK_OK(farm.Say(PublishVerdict::kPublished));
  farm.Connect("a", 9);
  CHECK(farm.core.IsCurrent(AgentId("a"), Farm::Key("p")));
  farm.Connect("a", 9, {}, 1, 2);
  if (!resolved_first) CHECK_OK(farm.Say(PublishVerdict::kPublished));
  CHECK_FALSE(farm.core.IsCurrent(AgentId("a"), Farm::Key("p")));
}

// What the shell makes of a probe of "p".
domain::Task ProbeOf(const std::string& id) {
  domain::Task probe = Farm::Build(id);
  probe.kind = TaskKind::kProbe;
  probe.depends_on = TaskId("p");
  return probe;
}

TEST_CASE("Scheduler: a probe runs beside its unknown publish and resolves it",
          "[unit][scheduler]") {
  const bool waited = GENERATE(false, true);
  UnknownFarm farm;
  farm.ReportUnknown(true);
  if (waited) farm.now += kMargin;
  farm.Submit({ProbeOf("q")});
  REQUIRE(farm.WantOf(Farm::Key("q")) == Want::kOffer);
  farm.Run("q");
  farm.Do(PermitRequested{.from = Farm::kA,
                          .key = Farm::Key("q"),
                          .manifest = {},
                          .nonce = "x",
                          .sequence = 3,
                          .deadline = kDeadline});
  REQUIRE(farm.Told<protocol::Permit>() != nullptr);
  CHECK(farm.Told<protocol::Permit>()->answers == 3);
  CHECK(farm.Changed<store::GrantPermit>() == nullptr);

  const auto answer = [&](PublishVerdict verdict) {
    ResultReported event = ReportOf(Farm::kA, Farm::Key("q"));
    event.log = LogState::kComplete;
    event.resolves = UnknownFarm::Word(verdict);
    event.resolves->resolution.probe = TaskId("q");
    farm.Do(event);
  };
  SECTION("published: with its release") {
    answer(PublishVerdict::kPublished);
    CHECK(farm.Finished("q") == TaskState::kSucceeded);
    CHECK(farm.Finished("p") == TaskState::kSucceeded);
  }
  SECTION("not published: says something of the publish if the probe began late enough") {
    // However late its answer comes.
    farm.now += kMargin;
    answer(PublishVerdict::kNotPublished);
    CHECK(farm.Finished("q") == TaskState::kSucceeded);
    CHECK(farm.Finished("p") == (waited ? std::optional(TaskState::kFailed) : std::nullopt));
  }
  SECTION("a person was faster") {
    farm.Do(UnknownFarm::Word(PublishVerdict::kPublished));
    REQUIRE(farm.Finished("p") == TaskState::kSucceeded);
    answer(PublishVerdict::kPublished);
    CHECK(farm.Finished("q") == TaskState::kSucceeded);
    CHECK(farm.Finished("p") == std::nullopt);
  }
}

TEST_CASE("Scheduler: a probe is safe to repeat, so a lost one is queued again",
          "[unit][scheduler]") {
  UnknownFarm farm;
  farm.ReportUnknown(true);
  farm.Submit({ProbeOf("q")});
  farm.Run("q");
  farm.Do(SessionClosed{Farm::kA});
  farm.Pass(kLease);
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
  CHECK(farm.Changed<store::MarkUnknown>() == nullptr);
}

}  // namespace
}  // namespace slipway::scheduler
