#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

#include "tests/sim/play.h"

namespace slipway::sim {
namespace {

std::optional<std::uint64_t> Environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

TEST_CASE("Simulation: every invariant holds for every seed", "[sim]") {
  const auto only = Environment("SLIPWAY_SIM_SEED");
  const std::uint64_t first = only.value_or(1);
  const std::uint64_t count = only ? 1 : Environment("SLIPWAY_SIM_SEEDS").value_or(2000);
  const unsigned jobs = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
  const Summary sum = PlaySeeds(first, first + count - 1, jobs);
  if (sum.failure) {
    FAIL(sum.failure->violation << "\nrepeat with slipway-sim --seeds " << sum.failure->seed
                                << " --verbose; the last events:\n"
                                << TellStory(ScenarioOf(sum.failure->seed), 60));
  }
  CHECK(sum.seeds == count);
  if (count < 500) return;

  {
    for (std::size_t invariant = 1; invariant < sum.cases.size(); ++invariant) {
      INFO("invariant " << invariant);
      CHECK(sum.cases[invariant] >= 10);
    }
  }
  {
    using domain::TaskState;
    for (const TaskState state : {TaskState::kSucceeded, TaskState::kFailed, TaskState::kCanceled,
                                  TaskState::kSkipped, TaskState::kUnknown}) {
      INFO(domain::TaskStateName(state));
      CHECK(sum.endings.contains(state));
    }
    using protocol::FailureClass;
    for (const FailureClass klass :
         {FailureClass::kBuild, FailureClass::kNetwork, FailureClass::kCanceled,
          FailureClass::kAgentLost, FailureClass::kInfrastructure, FailureClass::kTimeout,
          FailureClass::kPlatformRefused, FailureClass::kPublishUnknown}) {
      INFO(protocol::FailureClassName(klass));
      CHECK(sum.failures.contains(klass));
    }
    CHECK(sum.releases > count);
    CHECK(sum.previews > count);
    CHECK(sum.previews_again > count / 10);
  }
}

TEST_CASE("Simulation: each kind of change is in a commit in doubt, stored and not", "[sim]") {
  const Summary sum = PlaySeeds(1, 5000, 2, [](std::uint64_t seed) {
    Scenario scenario = ScenarioOf(seed);
    scenario.faults.in_doubt = 0.2;
    scenario.faults.partition = Millis(8'000);
    scenario.orders = Millis(10'000);
    return scenario;
  });
  CHECK((sum.failure ? sum.failure->violation : "") == "");
  for (std::size_t change = 0; change < sum.doubts.size(); ++change) {
    INFO("index in store::Change: " << change);
    CHECK(sum.doubts[change][0] > 0);
    CHECK(sum.doubts[change][1] > 0);
  }
}

TEST_CASE("Simulation: the same seed plays the same story", "[sim]") {
  for (const std::uint64_t seed : {7U, 23U, 85U}) {
    CHECK(TellStory(ScenarioOf(seed), 0) == TellStory(ScenarioOf(seed), 0));
  }
}

TEST_CASE("Simulation: watching a story does not change it", "[sim]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    World seen(ScenarioOf(seed), {.keep_trace = true});
    World unseen(ScenarioOf(seed));
    CHECK(seen.Play() == unseen.Play());
    CHECK(seen.steps() == unseen.steps());
  }
}

}  // namespace
}  // namespace slipway::sim
