#include <catch2/catch.hpp>
#include <optional>
#include <string>

#include "controller/scheduler/scheduler_core.h"
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

TEST_CASE("Scheduler: the publish follows its build's success and is skipped without it",
          "[unit][scheduler]") {
  for (const bool good : {true, false}) {
    Farm farm;
    farm.Connect("a", 1);
    farm.Submit({Farm::Build("t"), Farm::Publish("p", "t")});
    CHECK(farm.Why("p").await == Await::kDependency);
    CHECK(farm.Why("p").depends_on == TaskId("t"));
    farm.Run("t");
    if (good) {
      farm.Succeed("t");
      CHECK(farm.WantOf(Farm::Key("p")) == Want::kOffer);
    } else {
      farm.Report("t", 1, FailureClass::kBuild);
      CHECK(farm.Finished("p") == TaskState::kSkipped);
    }
  }
}

// A farm whose publish "p" runs on agent a.
struct PublishingFarm : Farm {
  PublishingFarm() {
    Connect("a", 1);
    Submit({Build("t"), Publish("p", "t")});
    Run("t");
    Succeed("t");
    Run("p");
  }
  void Ask(const std::string& nonce, char manifest = 'm', std::uint64_t sequence = 1) {
    const auto digest = *Sha256Digest::FromBytes(std::string(32, manifest));
    Do(PermitRequested{.from = kA,
                       .key = Key("p"),
                       .manifest = digest,
                       .nonce = nonce,
                       .sequence = sequence,
                       .deadline = kDeadline});
  }
  static constexpr Duration kDeadline = seconds(600);
};

TEST_CASE("Scheduler: a lost permit reply costs time, not a second leave", "[unit][scheduler]") {
  PublishingFarm farm;
  farm.Ask("one", 'm', 7);
  REQUIRE(farm.Told<protocol::Permit>() != nullptr);
  CHECK(farm.Told<protocol::Permit>()->answers == 7);
  CHECK(farm.Told<protocol::Permit>()->valid_for == seconds(120));
  CHECK(farm.Told<protocol::Permit>()->deadline == PublishingFarm::kDeadline);
  REQUIRE(farm.Changed<store::GrantPermit>() != nullptr);
  CHECK(farm.Changed<store::GrantPermit>()->permit.deadline == PublishingFarm::kDeadline);
  farm.now += seconds(30);
  farm.Ask("two", 'm', 8);
  REQUIRE(farm.Told<protocol::Permit>() != nullptr);
  CHECK(farm.Told<protocol::Permit>()->nonce == "one");
  CHECK(farm.Told<protocol::Permit>()->answers == 8);
  CHECK(farm.Told<protocol::Permit>()->valid_for == seconds(90));
  farm.now += seconds(90);
  farm.Ask("three", 'm', 9);
  CHECK(farm.Told<protocol::Permit>() == nullptr);
  REQUIRE(farm.Told<protocol::PermitDenied>() != nullptr);
  CHECK(farm.Told<protocol::PermitDenied>()->failure.reason == "PERMIT_EXPIRED");
}

TEST_CASE("Scheduler: the frozen agent of a superseded offer gets neither start nor permit",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t"), Farm::Publish("p", "t")});
  farm.Run("t");
  farm.Succeed("t");
  REQUIRE(farm.WantOf(Farm::Key("p", 1)) == Want::kOffer);
  farm.Connect("b", 2);
  farm.Pass(kOffer);  // a is frozen: the offer goes to b
  REQUIRE(farm.WantOf(Farm::Key("p", 2)) == Want::kOffer);
  farm.Do(Accepted{Farm::kB, Farm::Key("p", 2)});
  farm.Do(Accepted{Farm::kA, Farm::Key("p", 1)});
  CHECK(farm.WantOf(Farm::Key("p", 1)) == Want::kForget);
  farm.Do(PermitRequested{.from = Farm::kA,
                          .key = Farm::Key("p", 1),
                          .manifest = {},
                          .nonce = "old",
                          .sequence = 1,
                          .deadline = {}});
  CHECK(farm.Told<protocol::Permit>() == nullptr);
  CHECK(farm.Changed<store::GrantPermit>() == nullptr);
  CHECK(farm.WantOf(Farm::Key("p", 1)) == Want::kForget);
}

TEST_CASE("Scheduler: asking again for a permit gives the same nonce, other bytes are denied",
          "[unit][scheduler]") {
  PublishingFarm farm;
  farm.Ask("one");
  REQUIRE(farm.Told<protocol::Permit>() != nullptr);
  CHECK(farm.Changed<store::GrantPermit>() != nullptr);
  farm.Ask("two");
  REQUIRE(farm.Told<protocol::Permit>() != nullptr);
  CHECK(farm.Told<protocol::Permit>()->nonce == "one");
  CHECK(farm.changes.empty());
  farm.Ask("three", 'x');
  CHECK(farm.Told<protocol::Permit>() == nullptr);
  REQUIRE(farm.Told<protocol::PermitDenied>() != nullptr);
}

TEST_CASE("Scheduler: a canceled publish gets no permit", "[unit][scheduler]") {
  PublishingFarm farm;
  farm.Do(Cancel{Ticket(9), TaskId("p"), "dev", "wrong"});
  CHECK(farm.WantOf(Farm::Key("p")) == Want::kCancel);
  farm.Ask("one");
  REQUIRE(farm.Told<protocol::PermitDenied>() != nullptr);
  CHECK(farm.Told<protocol::PermitDenied>()->failure.klass == FailureClass::kCanceled);
}

TEST_CASE("Scheduler: all that a cancel brings about rests on the right to it",
          "[unit][scheduler]") {
  Farm farm;
  farm.Submit({Farm::Build("b"), Farm::Publish("after", "b")});
  const Basis basis{"10.0.0.1",
                    {{.need = domain::Authority::Need::kAccount, .account = AccountId("dev")}}};
  farm.Do(Cancel{Ticket(9), TaskId("b"), "dev", "wrong", basis});
  // The request, the build's end and that of the publish after it.
  CHECK(farm.changes.size() == 3);
  for (const store::Change& change : farm.changes) {
    std::visit(
        [&](const auto& one) {
          if constexpr (requires { one.cause; }) CHECK(one.cause.authorities == basis.authorities);
        },
        change);
  }
}

TEST_CASE("Scheduler: a lost publish is unknown with a permit, failed without, never queued again",
          "[unit][scheduler]") {
  for (const bool permitted : {true, false}) {
    PublishingFarm farm;
    if (permitted) farm.Ask("one");
    farm.Do(SessionClosed{Farm::kA});
    farm.Pass(kLease);
    CHECK(farm.Changed<store::RequeueTask>() == nullptr);
    CHECK((farm.Changed<store::MarkUnknown>() != nullptr) == permitted);
    CHECK((farm.Finished("p") == TaskState::kFailed) == !permitted);
  }
}

TEST_CASE(
    "Scheduler: a preview is permitted without a trace, and begun anew when its agent is lost",
    "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Connect("b", 1);
  domain::Task preview = Farm::Publish("p", "t");
  preview.kind = TaskKind::kPreview;
  farm.Submit({Farm::Build("t"), preview});
  CHECK(farm.Why("p").await == Await::kDependency);
  farm.Run("t");
  farm.Succeed("t");
  farm.Run("p");
  farm.Do(PermitRequested{.from = Farm::kA,
                          .key = Farm::Key("p"),
                          .manifest = Sha256Digest(),
                          .nonce = "one",
                          .sequence = 1,
                          .deadline = seconds(600)});
  CHECK(farm.Changed<store::GrantPermit>() == nullptr);
  farm.Do(SessionClosed{Farm::kA});
  farm.Pass(kLease);
  CHECK(farm.Changed<store::MarkUnknown>() == nullptr);
  CHECK(farm.Changed<store::RequeueTask>() != nullptr);
}

TEST_CASE("Scheduler: the late result of an unknown publish resolves it", "[unit][scheduler]") {
  PublishingFarm farm;
  farm.Ask("one");
  farm.Do(SessionClosed{Farm::kA});
  farm.Pass(kLease);
  REQUIRE(farm.Changed<store::MarkUnknown>() != nullptr);
  CHECK(farm.Why("p").await == Await::kResolution);
  farm.Do(Cancel{Ticket(9), TaskId("p"), "dev", "too late"});
  CHECK_THAT(farm.replies.at(0).status,
             StatusIs(absl::StatusCode::kFailedPrecondition, "PUBLISH_UNKNOWN"));
  farm.Connect("a", 3, {{Farm::Key("p"), TaskKind::kPublish, AttemptPhase::kFinished}});
  CHECK(farm.WantOf(Farm::Key("p")) == Want::kKeep);
  ResultReported late = ReportOf({AgentId("a"), SessionId(3)}, Farm::Key("p"));
  late.log = LogState::kComplete;
  late.release = domain::Release{};
  farm.Do(late);
  CHECK(farm.Finished("p") == TaskState::kSucceeded);
  CHECK(farm.Changed<store::FinishTask>()->release.has_value());
}

TEST_CASE("Scheduler: cancel ends what no agent works on at once, the rest when the agent says so",
          "[unit][scheduler]") {
  Farm farm;
  farm.Submit({Farm::Build("t"), Farm::Publish("p", "t")});
  farm.Do(Cancel{Ticket(9), TaskId("t"), "dev", "no"});
  CHECK(farm.Finished("t") == TaskState::kCanceled);
  CHECK(farm.Finished("p") == TaskState::kSkipped);

  farm.Connect("a", 1);
  farm.Submit({Farm::Build("u")});
  farm.Do(Cancel{Ticket(9), TaskId("u"), "dev", "no"});
  CHECK(farm.Finished("u") == TaskState::kCanceled);
  CHECK(farm.WantOf(Farm::Key("u")) == Want::kForget);

  farm.Submit({Farm::Build("v")});
  farm.Run("v");
  farm.Do(Cancel{Ticket(9), TaskId("v"), "dev", "no"});
  CHECK(farm.Finished("v") == std::nullopt);
  CHECK(farm.WantOf(Farm::Key("v")) == Want::kCancel);
  farm.Connect("a", 1, {{Farm::Key("v"), TaskKind::kBuild, AttemptPhase::kRunning}}, 1, 2);
  CHECK(farm.WantOf(Farm::Key("v")) == Want::kCancel);
  farm.Report("v", 1, FailureClass::kCanceled);
  CHECK(farm.Finished("v") == TaskState::kCanceled);

  farm.Do(Cancel{Ticket(9), TaskId("v"), "dev", "no"});
  CHECK_THAT(farm.replies.at(0).status, StatusIs(absl::StatusCode::kNotFound));
}

TEST_CASE("Scheduler: the publish of a build that was being canceled does not start",
          "[unit][scheduler]") {
  Farm farm;
  farm.Connect("a", 1);
  farm.Submit({Farm::Build("t"), Farm::Publish("p", "t")});
  farm.Run("t");
  farm.Do(Cancel{Ticket(9), TaskId("t"), "dev", "no"});
  farm.Succeed("t");
  CHECK(farm.Finished("t") == TaskState::kSucceeded);
  CHECK(farm.Finished("p") == TaskState::kSkipped);
}

}  // namespace
}  // namespace slipway::scheduler
