#include "tests/unit/agent_core_shell.h"

namespace slipway::agent {
namespace {

using protocol::FailureClass;
using protocol::TaskKind;
using protocol::Want;

protocol::AttemptResult CanceledResult() {
  protocol::AttemptResult result;
  result.log.size = 0;
  result.failure.emplace();
  result.failure->klass = FailureClass::kCanceled;
  result.failure->reason = "CANCELED";
  return result;
}

// The answer to the first request.
protocol::Permit FirstPermit() {
  return {.key = Key(),
          .nonce = "nonce",
          .answers = 1,
          .valid_for = std::chrono::seconds(60),
          .deadline = std::chrono::seconds(60),
          .secret = "secret"};
}

const protocol::AttemptResult* Journalled(const Shell& shell) {
  const auto* write = shell.Found<WriteJournal>();
  if (write == nullptr) return nullptr;
  const auto* finished = std::get_if<JournalFinished>(&write->entry.what);
  return finished == nullptr ? nullptr : &finished->result;
}

TEST_CASE("AgentCore: draining hands back what was promised, before it says what it holds",
          "[unit][agent]") {
  Shell shell;
  shell.Do(Connected{});
  shell.Tell(Want::kOffer, Key());
  shell.Synced();
  REQUIRE(shell.Sent<protocol::Accept>() != nullptr);
  shell.Do(DrainRequested{});
  REQUIRE(shell.actions.size() == 2);
  CHECK(std::holds_alternative<protocol::Refuse>(std::get<Send>(shell.actions[0]).message));
  CHECK(std::get<protocol::Inventory>(std::get<Send>(shell.actions[1]).message).draining);
  CHECK(shell.Found<Drained>() == nullptr);
  shell.Tell(Want::kForget, Key());
  shell.Do(AttemptDeleted{Key()});
  CHECK(shell.Found<Drained>() != nullptr);
}

TEST_CASE("AgentCore: a promise whose start was on its way is kept, also while draining",
          "[unit][agent]") {
  Shell shell;
  shell.Do(Connected{});
  shell.Tell(Want::kOffer, Key());
  shell.Synced();
  shell.Do(DrainRequested{});
  shell.Tell(Want::kStart, Key());
  shell.Synced();
  CHECK(shell.Found<StartAttempt>() != nullptr);
}

TEST_CASE("AgentCore: a promise that reaches the disk after the drain began is not made",
          "[unit][agent]") {
  Shell shell;
  shell.Do(Connected{});
  shell.Tell(Want::kOffer, Key());
  shell.Do(DrainRequested{});
  CHECK(shell.Sent<protocol::Refuse>() == nullptr);
  shell.Synced();
  CHECK(shell.Sent<protocol::Accept>() == nullptr);
  CHECK(shell.Sent<protocol::Refuse>() != nullptr);
}

TEST_CASE("AgentCore: draining finishes what runs and ends when its result is taken",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key());
  shell.Do(DrainRequested{});
  CHECK(shell.Found<CancelAttempt>() == nullptr);
  CHECK(shell.Found<Drained>() == nullptr);
  shell.Do(AttemptEnded{Key(), {}});
  shell.Synced();
  CHECK(shell.Sent<protocol::ResultReport>() != nullptr);
  CHECK(shell.Found<Drained>() == nullptr);
  shell.Tell(Want::kForget, Key());
  shell.Do(AttemptDeleted{Key()});
  CHECK(shell.Found<Drained>() != nullptr);
}

TEST_CASE("AgentCore: in a hurry a build is ended and reported as lost to the agent, not canceled",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key());
  shell.Do(HurryRequested{});
  CHECK(shell.Found<CancelAttempt>() != nullptr);
  shell.Do(HurryRequested{});
  CHECK(shell.Found<CancelAttempt>() == nullptr);
  shell.Do(AttemptEnded{Key(), CanceledResult()});
  REQUIRE(Journalled(shell) != nullptr);
  CHECK(Journalled(shell)->failure->klass == FailureClass::kAgentLost);
  CHECK(Journalled(shell)->failure->reason == "AGENT_STOPPED");
}

TEST_CASE("AgentCore: in a hurry a build that came to its end keeps its own result",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key());
  shell.Do(HurryRequested{});
  shell.Do(AttemptEnded{Key(), {}});
  REQUIRE(Journalled(shell) != nullptr);
  CHECK(Journalled(shell)->ok());
}

TEST_CASE("AgentCore: what the controller cancels stays canceled, also in a hurry",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key());
  shell.Do(HurryRequested{});
  shell.Tell(Want::kCancel, Key());
  shell.Do(AttemptEnded{Key(), CanceledResult()});
  REQUIRE(Journalled(shell) != nullptr);
  CHECK(Journalled(shell)->failure->klass == FailureClass::kCanceled);
}

TEST_CASE("AgentCore: in a hurry an order to start comes to nothing", "[unit][agent]") {
  Shell shell;
  shell.Do(Connected{});
  shell.Tell(Want::kOffer, Key());
  shell.Synced();
  shell.Do(HurryRequested{});
  shell.Tell(Want::kStart, Key());
  shell.Synced();
  CHECK(shell.Found<StartAttempt>() == nullptr);
  REQUIRE(Journalled(shell) != nullptr);
  CHECK(Journalled(shell)->failure->reason == "AGENT_STOPPED");
}

TEST_CASE("AgentCore: in a hurry a publish that may have begun is left to its end",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPublish);
  shell.Do(PublishReady{Key(), {}});
  shell.Tell(FirstPermit());
  shell.Synced();
  REQUIRE(shell.Found<GivePermit>() != nullptr);
  shell.Do(HurryRequested{});
  CHECK(shell.Found<CancelAttempt>() == nullptr);
}

TEST_CASE("AgentCore: in a hurry a publish that waits for its permit ends, and says why",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPublish);
  shell.Do(PublishReady{Key(), {}});
  shell.Do(HurryRequested{});
  CHECK(shell.Found<CancelAttempt>() != nullptr);
  shell.Tell(FirstPermit());
  shell.Synced();
  CHECK(shell.Found<GivePermit>() == nullptr);
  shell.Do(AttemptEnded{Key(), CanceledResult()});
  REQUIRE(Journalled(shell) != nullptr);
  CHECK(Journalled(shell)->failure->message.find("Nothing was published") != std::string::npos);
}

TEST_CASE("AgentCore: a disowned agent deletes all it holds and is then done", "[unit][agent]") {
  Shell shell({}, 2);
  shell.Run(Key("t"));
  shell.Do(Disowned{});
  CHECK(shell.Found<DeleteAttempt>() != nullptr);
  CHECK(shell.Found<Drained>() == nullptr);
  shell.Do(AttemptDeleted{Key("t")});
  CHECK(shell.Found<Drained>() != nullptr);
  Shell idle;
  idle.Do(Disowned{});
  CHECK(idle.Found<Drained>() != nullptr);
}

}  // namespace
}  // namespace slipway::agent
