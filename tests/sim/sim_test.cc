#include <catch2/catch.hpp>
#include <cstdlib>
#include <optional>
#include <string>

#include "tests/sim/sim_world.h"

namespace slipway::sim {
namespace {

std::optional<std::uint64_t> Environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

// The kinds of trouble are mixed by the seed, so that no seed is only everything at once: a calm
// world shows what a wild one hides.
Scenario ScenarioOf(std::uint64_t seed) {
  Scenario scenario;
  scenario.seed = seed;
  scenario.agents = 2 + static_cast<int>(seed % 3);
  Faults& faults = scenario.faults;
  if (seed % 2 == 1) {
    faults.drop = 0.02;
    faults.repeat = 0.05;
    faults.connection_reset = Millis(10'000);
  }
  faults.reorder = seed % 5 == 3;
  if (seed % 3 == 1) {
    faults.in_doubt = 0.03;
    faults.controller_crash = Millis(25'000);
  }
  if (seed % 7 == 2) faults.controller_takeover = Millis(30'000);
  if (seed % 4 >= 2) {
    faults.agent_crash = Millis(6'000);
    faults.crash_between_actions = 0.002;
  }
  if (seed % 8 >= 5) faults.machine_crash = Millis(15'000);
  if (seed % 6 == 4) faults.partition = Millis(20'000);
  return scenario;
}

std::string Told(const Scenario& scenario, std::string* tail = nullptr) {
  World world(scenario);
  const std::string violation = world.Play();
  if (tail != nullptr) *tail = world.TraceTail();
  return violation;
}

TEST_CASE("Simulation: every invariant holds for every seed", "[sim]") {
  const auto only = Environment("SLIPWAY_SIM_SEED");
  const std::uint64_t first = only.value_or(1);
  const std::uint64_t count = only ? 1 : Environment("SLIPWAY_SIM_SEEDS").value_or(300);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    std::string tail;
    const std::string violation = Told(ScenarioOf(seed), &tail);
    INFO("repeat with SLIPWAY_SIM_SEED=" << seed << "; the last events:\n" << tail);
    REQUIRE(violation == "");
  }
}

}  // namespace
}  // namespace slipway::sim
