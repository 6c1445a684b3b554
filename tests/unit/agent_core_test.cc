#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tests/unit/agent_core_shell.h"

namespace slipway::agent {
namespace {

using protocol::AttemptPhase;
using protocol::FailureClass;
using protocol::TaskKind;
using protocol::Want;
using std::chrono::seconds;

protocol::AttemptResult ResultOf(std::uint64_t log_size) {
  protocol::AttemptResult result;
  result.log.size = log_size;
  return result;
}

TEST_CASE("AgentCore: an offer is accepted only when the promise is on the disk", "[unit][agent]") {
  Shell shell;
  shell.Do(Connected{});
  REQUIRE(shell.Sent<protocol::Inventory>() != nullptr);
  CHECK(shell.Sent<protocol::Inventory>()->sequence == 1);
  shell.Tell(Want::kOffer, Key());
  CHECK(shell.Sent<protocol::Accept>() == nullptr);
  shell.Tell(Want::kOffer, Key());
  CHECK(shell.Sent<protocol::Accept>() == nullptr);
  shell.Synced();
  CHECK(shell.Sent<protocol::Accept>() != nullptr);
  shell.Tell(Want::kOffer, Key());
  CHECK(shell.Sent<protocol::Accept>() != nullptr);
}

TEST_CASE("AgentCore: without a free slot or while draining it refuses", "[unit][agent]") {
  Shell shell;
  shell.Run(Key("t"));
  shell.Tell(Want::kOffer, Key("u"));
  REQUIRE(shell.Sent<protocol::Refuse>() != nullptr);
  CHECK(shell.Sent<protocol::Refuse>()->reason == "no free slot");
  Shell draining;
  draining.Do(Connected{});
  draining.Do(DrainRequested{});
  CHECK(draining.Sent<protocol::Inventory>()->draining);
  CHECK(draining.Found<Drained>() != nullptr);
  draining.Tell(Want::kOffer, Key("u"));
  CHECK(draining.Sent<protocol::Refuse>()->reason == "the agent is being stopped");
}

TEST_CASE("AgentCore: a start is journalled first and done once", "[unit][agent]") {
  Shell shell;
  shell.Do(Connected{});
  shell.Tell(Want::kOffer, Key());
  shell.Synced();
  shell.Tell(Want::kStart, Key());
  CHECK(shell.Found<StartAttempt>() == nullptr);
  shell.Synced();
  CHECK(shell.Found<StartAttempt>() != nullptr);
  shell.Tell(Want::kStart, Key());
  CHECK(shell.actions.empty());
}

TEST_CASE("AgentCore: entries of a deleted attempt allow nothing to one with the same key",
          "[unit][agent]") {
  Shell shell;
  shell.Do(Connected{});
  shell.Tell(Want::kOffer, Key());
  shell.Synced();
  shell.Tell(Want::kStart, Key());
  shell.Tell(Want::kForget, Key());
  shell.Do(AttemptDeleted{Key()});
  shell.Tell(Want::kOffer, Key());
  // All of it reaches the disk at once: the start of the first life and the promise of the second.
  shell.Synced();
  CHECK(shell.Found<StartAttempt>() == nullptr);
  CHECK(shell.Sent<protocol::Accept>() != nullptr);
  REQUIRE(shell.core.Attempts().size() == 1);
  CHECK(shell.core.Attempts().front().phase == AttemptPhase::kAccepted);
}

TEST_CASE("AgentCore: the result waits for its own sync and for the log", "[unit][agent]") {
  Shell shell;
  shell.Run(Key());
  shell.Do(LogGrew{Key(), 0, 10});
  shell.Do(AttemptEnded{Key(), ResultOf(10)});
  shell.Tell(protocol::LogAck{Key(), 10, 10});
  CHECK(shell.Found<FreeSpool>()->below == 10);
  CHECK(shell.Sent<protocol::ResultReport>() == nullptr);
  shell.Synced();
  CHECK(shell.Sent<protocol::ResultReport>() != nullptr);

  Shell other;
  other.Run(Key());
  other.Do(LogGrew{Key(), 0, 10});
  other.Do(AttemptEnded{Key(), ResultOf(10)});
  other.Synced();
  CHECK(other.Sent<protocol::ResultReport>() == nullptr);
  other.Tell(protocol::LogAck{Key(), 10, 9});
  CHECK(other.Sent<protocol::ResultReport>() == nullptr);
  other.Tell(protocol::LogAck{Key(), 10, 10});
  CHECK(other.Sent<protocol::ResultReport>() != nullptr);
}

TEST_CASE("AgentCore: the result is sent again at each sync and after a restart until forgotten",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key());
  shell.Do(AttemptEnded{Key(), ResultOf(0)});
  shell.Synced();
  REQUIRE(shell.Sent<protocol::ResultReport>() != nullptr);
  shell.now += seconds(15);
  shell.Do(Tick{});
  CHECK(shell.Sent<protocol::ResultReport>() != nullptr);

  Shell again(shell.journal);
  REQUIRE(again.Found<AdoptAttempt>() != nullptr);
  CHECK(again.Found<AdoptAttempt>()->phase == AttemptPhase::kFinished);
  again.Do(Connected{});
  CHECK(again.Sent<protocol::ResultReport>() != nullptr);
  again.Tell(Want::kForget, Key());
  CHECK(again.Found<DeleteAttempt>() != nullptr);
  again.Do(AttemptDeleted{Key()});
  CHECK(std::holds_alternative<JournalDeleted>(again.journal.back().what));
  CHECK(Shell(again.journal).core.Attempts().empty());
}

TEST_CASE("AgentCore: a result whose spool is gone is sent when the controller has its log",
          "[unit][agent]") {
  Shell shell({{Key(), JournalAccepted{TaskKind::kBuild}},
               {Key(), JournalRunning{"spec"}},
               {Key(), JournalFinished{ResultOf(10)}}});
  shell.Do(LogGrew{Key(), 0, 0});
  shell.Do(Connected{});
  CHECK(shell.Sent<protocol::ResultReport>() == nullptr);
  REQUIRE(shell.Found<SendLog>() != nullptr);
  CHECK(shell.Found<SendLog>()->offset == shell.Found<SendLog>()->end);
  shell.Tell(protocol::LogAck{Key(), 10, 10});
  CHECK(shell.Sent<protocol::ResultReport>() != nullptr);
}

TEST_CASE("AgentCore: an answer that leaves an attempt out disowns it, a push does not",
          "[unit][agent]") {
  Shell shell({}, 2);
  shell.Run(Key("t"));
  shell.Tell(protocol::Desired{.answers = 0, .attempts = {}, .sync_after = seconds(15)});
  CHECK(shell.Found<DeleteAttempt>() == nullptr);
  // The inventory it answers did not list the attempt.
  shell.Tell(protocol::Desired{.answers = 1, .attempts = {}, .sync_after = seconds(15)});
  CHECK(shell.Found<DeleteAttempt>() == nullptr);
  shell.now += seconds(15);
  shell.Do(Tick{});
  shell.Tell(protocol::Desired{.answers = 2, .attempts = {}, .sync_after = seconds(15)});
  CHECK(shell.Found<DeleteAttempt>() != nullptr);
}

TEST_CASE("AgentCore: an outdated leader is not obeyed, not even after a restart",
          "[unit][agent]") {
  Shell shell;
  shell.Do(Connected{});
  shell.Tell(Want::kOffer, Key("t"), TaskKind::kBuild, 5);
  shell.Synced();
  shell.Tell(Want::kForget, Key("t"), TaskKind::kBuild, 4);
  CHECK(shell.actions.empty());
  Shell again(shell.journal);
  again.Do(Connected{});
  again.Tell(Want::kForget, Key("t"), TaskKind::kBuild, 4);
  CHECK(again.actions.empty());
  CHECK(again.core.Snapshot() == shell.core.Snapshot());
}

TEST_CASE("AgentCore: cancel before the start needs no container", "[unit][agent]") {
  Shell shell;
  shell.Do(Connected{});
  shell.Tell(Want::kOffer, Key());
  shell.Synced();
  shell.Tell(Want::kStart, Key());
  shell.Tell(Want::kCancel, Key());
  CHECK(shell.Found<CancelAttempt>() == nullptr);
  shell.Synced();
  CHECK(shell.Found<StartAttempt>() == nullptr);
  REQUIRE(shell.Sent<protocol::ResultReport>() != nullptr);
  CHECK(shell.Sent<protocol::ResultReport>()->result.failure->klass == FailureClass::kCanceled);
}

TEST_CASE("AgentCore: a build that vanished is reported lost, a canceled one canceled",
          "[unit][agent]") {
  for (const bool canceled : {true, false}) {
    Shell shell;
    shell.Run(Key());
    if (canceled) {
      shell.Tell(Want::kCancel, Key());
      CHECK(shell.Found<CancelAttempt>() != nullptr);
    }
    shell.Do(AttemptVanished{Key(), {}});
    shell.Synced();
    CHECK(shell.Sent<protocol::ResultReport>()->result.failure->klass ==
          (canceled ? FailureClass::kCanceled : FailureClass::kAgentLost));
  }
}

// The answer to the `answers`th request.
protocol::Permit PermitFor(const AttemptKey& key, Duration valid = seconds(60),
                           std::uint64_t answers = 1) {
  return {.key = key,
          .nonce = "n",
          .answers = answers,
          .valid_for = valid,
          .deadline = seconds(600),
          .secret = "s"};
}

TEST_CASE("AgentCore: the permit is given once, after its marker is on the disk", "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPublish);
  shell.Tell(PermitFor(Key()));
  CHECK(shell.actions.empty());
  shell.Do(PublishReady{Key(), Sha256Digest()});
  CHECK(shell.Sent<protocol::PermitRequest>() != nullptr);
  shell.Tell(PermitFor(Key()));
  CHECK(shell.Found<GivePermit>() == nullptr);
  CHECK(std::get<JournalPublishStarted>(shell.journal.back().what).nonce == "n");
  shell.Synced();
  REQUIRE(shell.Found<GivePermit>() != nullptr);
  CHECK(shell.Found<GivePermit>()->secret == "s");
  shell.Tell(PermitFor(Key()));
  CHECK(shell.actions.empty());
  shell.Do(PublishReady{Key(), Sha256Digest()});
  CHECK(shell.actions.empty());
}

TEST_CASE(
    "AgentCore: the permit's time runs from the request, however long this process stood still",
    "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPublish);
  shell.Do(PublishReady{Key(), Sha256Digest()});
  CHECK(shell.Sent<protocol::PermitRequest>()->sequence == 1);
  const std::size_t entries = shell.journal.size();
  // Frozen: the answer lay in the socket while its time passed.
  shell.now += seconds(60);
  shell.Tell(PermitFor(Key(), seconds(60)));
  CHECK(shell.journal.size() == entries);
  CHECK(shell.Found<GivePermit>() == nullptr);
  // The controller knows how much is left.
  REQUIRE(shell.Sent<protocol::PermitRequest>() != nullptr);
  CHECK(shell.Sent<protocol::PermitRequest>()->sequence == 2);
  shell.Tell(PermitFor(Key(), seconds(5), 2));
  shell.Synced();
  REQUIRE(shell.Found<GivePermit>() != nullptr);
  CHECK(shell.Found<GivePermit>()->valid_until == shell.now + seconds(5));
  CHECK(shell.Found<GivePermit>()->deadline == seconds(600));
}

TEST_CASE("AgentCore: a permit counts from the request that it answers, not from a newer one",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPublish);
  const MonoTime asked = shell.now;
  shell.Do(PublishReady{Key(), Sha256Digest()});
  shell.now += seconds(15);
  shell.Do(Tick{});  // a sync asks again: the first answer seems lost
  CHECK(shell.Sent<protocol::PermitRequest>()->sequence == 2);
  const std::size_t entries = shell.journal.size();
  shell.Tell(PermitFor(Key(), seconds(60), 3));  // answers nothing that was asked
  CHECK(shell.journal.size() == entries);
  shell.Tell(PermitFor(Key(), seconds(60), 1));
  shell.Synced();
  REQUIRE(shell.Found<GivePermit>() != nullptr);
  CHECK(shell.Found<GivePermit>()->valid_until == asked + seconds(60));
}

TEST_CASE("AgentCore: canceled between permit and start, the client does not start",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPublish);
  shell.Do(PublishReady{Key(), Sha256Digest()});
  shell.Tell(PermitFor(Key()));
  shell.Tell(Want::kCancel, Key(), TaskKind::kPublish);
  shell.Synced();
  CHECK(shell.Found<GivePermit>() == nullptr);
  REQUIRE(shell.Found<DenyPermit>() != nullptr);
  CHECK(shell.Found<DenyPermit>()->failure.klass == FailureClass::kCanceled);
}

TEST_CASE("AgentCore: superseded between permit and start, the attempt is deleted unstarted",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPublish);
  shell.Do(PublishReady{Key(), Sha256Digest()});
  shell.Tell(PermitFor(Key()));
  shell.Tell(Want::kForget, Key(), TaskKind::kPublish);
  CHECK(shell.Found<DeleteAttempt>() != nullptr);
  shell.Synced();
  CHECK(shell.Found<GivePermit>() == nullptr);
}

TEST_CASE("AgentCore: an unknown publish says whether its client was seen dead", "[unit][agent]") {
  for (const bool ended : {false, true}) {
    Shell shell;
    shell.Run(Key(), TaskKind::kPublish);
    shell.Do(PublishReady{Key(), Sha256Digest()});
    shell.Tell(PermitFor(Key()));
    shell.Synced();
    shell.Do(AttemptVanished{Key(), {}, ended});
    shell.Synced();
    REQUIRE(shell.Sent<protocol::ResultReport>() != nullptr);
    const protocol::AttemptResult& result = shell.Sent<protocol::ResultReport>()->result;
    CHECK(result.failure->klass == FailureClass::kPublishUnknown);
    CHECK(result.client_ended == ended);
  }
}

TEST_CASE("AgentCore: a publish that may have begun and is not taken up again never failed",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPublish);
  shell.Do(PublishReady{Key(), Sha256Digest()});
  shell.Tell(PermitFor(Key()));
  protocol::Failure failure;
  failure.klass = FailureClass::kInfrastructure;
  failure.reason = "AGENT_FAILED";
  failure.message = "progress: Is a directory";
  for (const bool ended : {false, true}) {
    Shell again(shell.journal);
    again.Do(AttemptNotTakenUp{Key(), failure, {.size = 0, .root = {}, .missing = 0}, ended});
    again.Do(Connected{});
    again.Synced();
    REQUIRE(again.Sent<protocol::ResultReport>() != nullptr);
    const protocol::AttemptResult& result = again.Sent<protocol::ResultReport>()->result;
    CHECK(result.failure->klass == FailureClass::kPublishUnknown);
    CHECK(result.failure->message.find("Is a directory") != std::string::npos);
    CHECK_FALSE(result.failure->remedy_zh.empty());
    CHECK(result.client_ended == ended);
  }
}

TEST_CASE("AgentCore: what could not be begun ends with why, and with what its log holds",
          "[unit][agent]") {
  protocol::Failure failure;
  failure.klass = FailureClass::kInfrastructure;
  failure.reason = "DISK_FULL";
  for (const TaskKind kind : {TaskKind::kBuild, TaskKind::kPublish}) {
    for (const bool canceled : {false, true}) {
      Shell shell;
      shell.Run(Key(), kind);
      if (canceled) shell.Tell(Want::kCancel, Key(), kind);
      shell.Do(AttemptNotTakenUp{Key(), failure, {.size = 7, .root = {}, .missing = 7}});
      shell.Synced();
      REQUIRE(shell.Sent<protocol::ResultReport>() != nullptr);
      const protocol::AttemptResult& result = shell.Sent<protocol::ResultReport>()->result;
      CHECK(result.failure->reason == (canceled ? "CANCELED" : "DISK_FULL"));
      CHECK(result.log.missing == 7);
    }
  }
}

TEST_CASE("AgentCore: a result waits for no log bytes that it says are missing", "[unit][agent]") {
  Shell shell;
  shell.Run(Key());
  shell.Do(LogGrew{Key(), 0, 6});
  protocol::AttemptResult result = ResultOf(10);
  result.log.missing = 4;
  shell.Do(AttemptEnded{Key(), result});
  shell.Synced();
  CHECK(shell.Sent<protocol::ResultReport>() == nullptr);
  shell.Tell(protocol::LogAck{Key(), 5, 5});
  CHECK(shell.Sent<protocol::ResultReport>() == nullptr);
  shell.Tell(protocol::LogAck{Key(), 6, 6});
  REQUIRE(shell.Sent<protocol::ResultReport>() != nullptr);
  CHECK(shell.Sent<protocol::ResultReport>()->result.log.missing == 4);
}

TEST_CASE("AgentCore: a result whose spool cannot be read any more says how much is missing",
          "[unit][agent]") {
  Shell shell({{Key(), JournalAccepted{TaskKind::kBuild}},
               {Key(), JournalRunning{"spec"}},
               {Key(), JournalFinished{ResultOf(10)}}});
  shell.Do(Connected{});
  shell.Do(AttemptNotTakenUp{Key(), {}, {}});
  CHECK(shell.Sent<protocol::ResultReport>() == nullptr);
  shell.Tell(protocol::LogAck{Key(), 3, 3});
  REQUIRE(shell.Sent<protocol::ResultReport>() != nullptr);
  CHECK(shell.Sent<protocol::ResultReport>()->result.log.missing == 7);
  CHECK(shell.Sent<protocol::ResultReport>()->result.ok());
}

TEST_CASE("AgentCore: a result whose spool has lost its end goes when the controller has the rest",
          "[unit][agent]") {
  Shell shell({{Key(), JournalAccepted{TaskKind::kBuild}},
               {Key(), JournalRunning{"spec"}},
               {Key(), JournalFinished{ResultOf(10)}}});
  CHECK(shell.Found<AdoptAttempt>()->log_end == 10);
  shell.Do(Connected{});
  shell.Do(LogGrew{Key(), 0, 6});
  shell.Do(AttemptNotTakenUp{Key(), {}, {}});
  shell.Tell(protocol::LogAck{Key(), 3, 3});
  CHECK(shell.Sent<protocol::ResultReport>() == nullptr);
  shell.Tell(protocol::LogAck{Key(), 6, 6});
  REQUIRE(shell.Sent<protocol::ResultReport>() != nullptr);
  CHECK(shell.Sent<protocol::ResultReport>()->result.log.missing == 4);
}

TEST_CASE("AgentCore: a permit that expired while the marker was written is not given",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPublish);
  shell.Do(PublishReady{Key(), Sha256Digest()});
  shell.Tell(PermitFor(Key(), seconds(1)));
  shell.now += seconds(1);
  shell.Synced();
  CHECK(shell.Found<GivePermit>() == nullptr);
  CHECK(shell.Found<DenyPermit>()->failure.reason == "PERMIT_EXPIRED");
}

TEST_CASE("AgentCore: after a restart a marker means unknown, its absence a second start",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPublish);
  Shell unmarked(shell.journal);
  CHECK_FALSE(unmarked.Found<AdoptAttempt>()->publish_started);
  unmarked.Do(AttemptVanished{Key(), {}});
  CHECK(unmarked.Found<StartAttempt>() != nullptr);

  shell.Do(PublishReady{Key(), Sha256Digest()});
  shell.Tell(PermitFor(Key()));
  Shell marked(shell.journal);
  CHECK(marked.Found<AdoptAttempt>()->publish_started);
  marked.Do(Connected{});
  marked.Do(PublishReady{Key(), Sha256Digest()});
  CHECK(marked.Sent<protocol::PermitRequest>() == nullptr);
  CHECK(marked.Found<DenyPermit>()->failure.klass == FailureClass::kPublishUnknown);
  marked.Tell(PermitFor(Key()));
  CHECK(marked.actions.empty());
  marked.Do(AttemptVanished{Key(), {}});
  marked.Synced();
  CHECK(marked.Sent<protocol::ResultReport>()->result.failure->klass ==
        FailureClass::kPublishUnknown);
}

TEST_CASE("AgentCore: a publish that keeps vanishing before its marker ends with nothing published",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPublish);
  shell.Do(AttemptVanished{Key(), {}});
  shell.Do(AttemptVanished{Key(), {}});
  CHECK(shell.Found<StartAttempt>() != nullptr);
  shell.Do(AttemptVanished{Key(), {}});
  CHECK(shell.Found<StartAttempt>() == nullptr);
  shell.Synced();
  CHECK(shell.Sent<protocol::ResultReport>()->result.failure->klass ==
        FailureClass::kInfrastructure);
}

TEST_CASE("AgentCore: a journal cut off anywhere loads to something that the controller can end",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPublish);
  shell.Do(PublishReady{Key(), Sha256Digest()});
  shell.Tell(PermitFor(Key()));
  shell.Synced();
  shell.Do(AttemptEnded{Key(), ResultOf(0)});
  shell.Synced();
  for (std::size_t size = 0; size <= shell.journal.size(); ++size) {
    Shell cut({shell.journal.begin(), shell.journal.begin() + static_cast<std::ptrdiff_t>(size)});
    CHECK(Shell(cut.core.Snapshot()).core.Snapshot() == cut.core.Snapshot());
    cut.Do(Connected{});
    cut.Tell(Want::kForget, Key());
    cut.Do(AttemptDeleted{Key()});
    CHECK(cut.core.Attempts().empty());
  }
  Shell odd({{Key("never"), JournalFinished{}}, {Key("never"), JournalDeleted{}}});
  CHECK(odd.core.Attempts().empty());
}

}  // namespace
}  // namespace slipway::agent
