#include "tests/unit/agent_core_shell.h"

// What may be done again however often: probes and previews.
namespace slipway::agent {
namespace {

using protocol::FailureClass;
using protocol::TaskKind;
using protocol::Want;

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

TEST_CASE("AgentCore: probes and previews need no marker and begin anew when the container is lost",
          "[unit][agent]") {
  const TaskKind kind = GENERATE(TaskKind::kProbe, TaskKind::kPreview);
  Shell shell;
  shell.Run(Key(), kind);
  const std::size_t entries = shell.journal.size();
  shell.Do(PublishReady{Key(), Sha256Digest()});
  shell.Tell(FirstPermit());
  CHECK(shell.journal.size() == entries);
  REQUIRE(shell.Found<GivePermit>() != nullptr);
  CHECK(shell.Found<GivePermit>()->secret == "secret");
  Shell again(shell.journal);
  CHECK_FALSE(again.Found<AdoptAttempt>()->publish_started);
  again.Do(AttemptVanished{Key(), {}});
  CHECK(again.Found<StartAttempt>() != nullptr);
  again.Do(Connected{});
  again.Do(PublishReady{Key(), Sha256Digest()});
  CHECK(again.Sent<protocol::PermitRequest>() != nullptr);
}

TEST_CASE("AgentCore: in a hurry a preview ends though it has its permit, and says so",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPreview);
  shell.Do(PublishReady{Key(), {}});
  shell.Tell(FirstPermit());
  REQUIRE(shell.Found<GivePermit>() != nullptr);
  shell.Do(HurryRequested{});
  CHECK(shell.Found<CancelAttempt>() != nullptr);
  protocol::AttemptResult canceled;
  canceled.failure.emplace();
  canceled.failure->klass = FailureClass::kCanceled;
  shell.Do(AttemptEnded{Key(), canceled});
  REQUIRE(Journalled(shell) != nullptr);
  CHECK(Journalled(shell)->failure->klass == FailureClass::kAgentLost);
  CHECK(Journalled(shell)->failure->reason == "AGENT_STOPPED");
  CHECK(Journalled(shell)->failure->message.find("preview") != std::string::npos);
}

TEST_CASE("AgentCore: a preview is canceled also when it has its permit, and is never in doubt",
          "[unit][agent]") {
  Shell shell;
  shell.Run(Key(), TaskKind::kPreview);
  shell.Do(PublishReady{Key(), {}});
  shell.Tell(FirstPermit());
  REQUIRE(shell.Found<GivePermit>() != nullptr);
  shell.Tell(Want::kCancel, Key());
  CHECK(shell.Found<CancelAttempt>() != nullptr);
  shell.Do(AttemptVanished{Key(), {}});
  REQUIRE(Journalled(shell) != nullptr);
  CHECK(Journalled(shell)->failure->klass == FailureClass::kCanceled);
}

}  // namespace
}  // namespace slipway::agent
