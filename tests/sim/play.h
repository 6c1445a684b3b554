#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "tests/sim/sim_world.h"

namespace slipway::sim {

// What many seeds came to.
struct Summary {
  struct Failure {
    std::uint64_t seed = 0;
    std::string violation;
  };
  // Of the lowest seed that failed.
  std::optional<Failure> failure;
  std::uint64_t seeds = 0;
  std::uint64_t steps = 0;
  CrashPoints crash_points;
  decltype(World::doubts) doubts{};
  std::array<std::uint64_t, 13> cases{};  // judged, by invariant
  std::map<domain::TaskState, std::uint64_t> endings;
  std::map<protocol::FailureClass, std::uint64_t> failures;
  std::uint64_t releases = 0;
  // Previews that succeeded, and of these the ones that needed more than one start.
  std::uint64_t previews = 0;
  std::uint64_t previews_again = 0;
};

using ScenarioFor = std::function<Scenario(std::uint64_t seed)>;

// Plays the seeds [first, last] in `jobs` threads, each seed for itself, up to the first that
// fails.
[[nodiscard]] Summary PlaySeeds(std::uint64_t first, std::uint64_t last, unsigned jobs,
                                const ScenarioFor& scenario_for = ScenarioOf,
                                std::uint64_t max_steps = 0);

// Plays one seed again and tells it: the last `lines` lines (0: all), then how it ended.
[[nodiscard]] std::string TellStory(const Scenario& scenario, std::size_t lines,
                                    std::uint64_t max_steps = 0);

}  // namespace slipway::sim
