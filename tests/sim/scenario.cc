#include "tests/sim/scenario.h"

#include "tests/sim/sim_random.h"

namespace slipway::sim {

Scenario ScenarioOf(std::uint64_t seed) {
  SimRandom dice(seed * 2);
  Scenario scenario;
  scenario.seed = seed;
  scenario.agents = 2 + static_cast<int>(dice.Below(3));
  Faults& faults = scenario.faults;
  // One seed in eight is calm, one in eight has every second kind of trouble.
  const std::uint64_t mood = dice.Below(8);
  const double likely = mood == 0 ? 0 : mood == 7 ? 0.5 : 0.2;
  const auto mean = [&](int millis) { return dice.Chance(likely) ? Millis(millis) : Millis(); };
  if (dice.Chance(likely * 2)) {
    faults.drop = 0.02;
    faults.repeat = 0.05;
  }
  faults.reorder = dice.Chance(likely);
  faults.connection_reset = mean(10'000);
  faults.partition = mean(20'000);
  if (dice.Chance(likely * 1.5)) faults.in_doubt = dice.Chance(0.2) ? 0.2 : 0.03;
  if (dice.Chance(likely)) faults.crash_between_actions = 0.002;
  if (dice.Chance(likely)) faults.freeze_between_actions = 0.002;
  faults.controller_crash = mean(25'000);
  faults.controller_freeze = mean(30'000);
  faults.controller_takeover = mean(30'000);
  faults.agent_crash = mean(6'000);
  faults.agent_freeze = mean(15'000);
  faults.machine_crash = mean(12'000);
  faults.machine_suspend = mean(20'000);
  faults.clocks_stand = dice.Chance(0.3);
  faults.agent_disk_full = mean(20'000);
  faults.controller_disk_full = mean(20'000);
  faults.clock_step = mean(15'000);
  scenario.orders = mean(10'000);
  scenario.departures = mean(30'000);
  scenario.short_leases = dice.Chance(0.2);
  return scenario;
}

}  // namespace slipway::sim
