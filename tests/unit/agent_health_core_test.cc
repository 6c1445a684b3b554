#include <catch2/catch.hpp>
#include <optional>
#include <vector>

#include "tests/unit/agent_core_shell.h"

// What the core makes of the machine's health and of images.
namespace slipway::agent {
namespace {

using protocol::Want;
using std::chrono::seconds;

TEST_CASE("AgentCore: while it is not well it refuses offers and says why", "[unit][agent]") {
  Shell shell;
  shell.Do(Connected{});
  protocol::AgentHealth health;
  health.engine.state = protocol::EngineState::kHung;
  shell.Do(HealthChanged{health});
  REQUIRE(shell.Sent<protocol::Inventory>() != nullptr);
  CHECK(shell.Sent<protocol::Inventory>()->health.engine.state == protocol::EngineState::kHung);
  shell.Tell(Want::kOffer, Key());
  REQUIRE(shell.Sent<protocol::Refuse>() != nullptr);
  CHECK(shell.Sent<protocol::Refuse>()->reason == "its Docker Engine does not answer");
  shell.Do(HealthChanged{});
  CHECK(shell.Sent<protocol::Inventory>() != nullptr);
  shell.Tell(Want::kOffer, Key());
  shell.Synced();
  CHECK(shell.Sent<protocol::Accept>() != nullptr);
}

TEST_CASE("AgentCore: what runs goes on while the agent is not well", "[unit][agent]") {
  Shell shell;
  shell.Run(Key());
  protocol::AgentHealth health;
  health.disks = {{.path = "/data", .state = protocol::DiskState::kFull}};
  shell.Do(HealthChanged{health});
  CHECK(shell.Found<CancelAttempt>() == nullptr);
  REQUIRE(shell.Sent<protocol::Inventory>() != nullptr);
  CHECK(shell.Sent<protocol::Inventory>()->attempts.size() == 1);
}

TEST_CASE("AgentCore: new figures alone wait for the next inventory", "[unit][agent]") {
  Shell shell;
  shell.Do(Connected{});
  protocol::AgentHealth health;
  health.disks = {{.path = "/data", .free_bytes = 2}};
  shell.Do(HealthChanged{health});
  health.disks[0].free_bytes = 1;
  shell.Do(HealthChanged{health});
  CHECK(shell.Sent<protocol::Inventory>() == nullptr);
  shell.now += seconds(15);
  shell.Do(Tick{});
  REQUIRE(shell.Sent<protocol::Inventory>() != nullptr);
  CHECK(shell.Sent<protocol::Inventory>()->health.disks.at(0).free_bytes == 1);
}

// The skew reported after an answer that came `took` after the question, when the controller's
// clock showed the agent's time of the answer plus `ahead`.
std::optional<Duration> SkewAfter(Duration took, Duration ahead) {
  Shell shell;
  shell.Do(Connected{});
  shell.now += took;
  protocol::Desired answer{.answers = 1, .attempts = {}, .sync_after = seconds(15)};
  answer.sent_at = WallTime(shell.now.time_since_epoch()) + ahead;
  shell.Tell(answer);
  shell.now += seconds(15);
  shell.Do(Tick{});
  REQUIRE(shell.Sent<protocol::Inventory>() != nullptr);
  return shell.Sent<protocol::Inventory>()->health.clock_skew;
}

TEST_CASE("AgentCore: the clocks' difference is the least that question and answer leave possible",
          "[unit][agent]") {
  CHECK(SkewAfter(seconds(2), seconds(0)) == Duration::zero());
  CHECK(SkewAfter(seconds(2), seconds(-2)) == Duration::zero());
  CHECK(SkewAfter(seconds(2), seconds(60)) == Duration(seconds(-60)));
  CHECK(SkewAfter(seconds(2), seconds(-62)) == Duration(seconds(60)));
  CHECK(SkewAfter(seconds(6), seconds(60)) == std::nullopt);
}

TEST_CASE("AgentCore: the controller's images are handed on, and reports go into inventories",
          "[unit][agent]") {
  Shell shell;
  shell.Do(Connected{});
  protocol::Desired push{.answers = 0, .attempts = {}, .sync_after = seconds(15)};
  shell.Tell(push);
  CHECK(shell.Found<PrepareImages>() == nullptr);
  push.images = {{"builder:1", 4}};
  shell.Tell(push);
  REQUIRE(shell.Found<PrepareImages>() != nullptr);
  CHECK(shell.Found<PrepareImages>()->orders == *push.images);
  const protocol::ImageReport report{.order = {"builder:1", 4},
                                     .state = protocol::ImageState::kReady,
                                     .id = "sha256:1",
                                     .failure = {}};
  shell.Do(ImagesChanged{{report}});
  REQUIRE(shell.Sent<protocol::Inventory>() != nullptr);
  CHECK(shell.Sent<protocol::Inventory>()->images == std::vector{report});
  shell.Do(ImagesChanged{{report}});
  CHECK(shell.Sent<protocol::Inventory>() == nullptr);
}

}  // namespace
}  // namespace slipway::agent
