// slipway-sim: plays the simulation outside of ctest.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "tests/sim/play.h"

namespace slipway::sim {
namespace {

struct Seeds {
  std::uint64_t first = 1;
  std::uint64_t last = 1000;
};

// "7" or "1..500".
bool Parse(const std::string& text, Seeds& seeds) {
  const std::size_t dots = text.find("..");
  const auto number = [](const std::string& digits, std::uint64_t& value) {
    if (digits.empty() || digits.size() > 18 ||
        digits.find_first_not_of("0123456789") != std::string::npos) {
      return false;
    }
    value = std::stoull(digits);
    return true;
  };
  if (!number(text.substr(0, dots), seeds.first)) return false;
  if (dots == std::string::npos) {
    seeds.last = seeds.first;
    return true;
  }
  return number(text.substr(dots + 2), seeds.last) && seeds.first <= seeds.last;
}

int Run(int argc, char** argv) {
  CLI::App app(
      "Plays the controller's and the agent's cores under faults and checks the invariants "
      "of docs/protocol.md. A seed always plays the same story.");
  std::string text = "1..1000";
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  std::uint64_t steps = 0;
  bool verbose = false;
  bool table = false;
  app.add_option("--seeds", text, "one seed, or a range A..B")->capture_default_str();
  app.add_option("--jobs", jobs, "threads")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--steps", steps, "end each story after so many events; 0: play to the end")
      ->capture_default_str();
  app.add_flag("--verbose", verbose, "tell the whole story of each seed");
  app.add_flag("--table", table, "print which message met which crash point how often");
  CLI11_PARSE(app, argc, argv);
  Seeds seeds;
  if (!Parse(text, seeds)) {
    fmt::print(stderr, "slipway-sim: --seeds {}: give one seed, or a range A..B\n", text);
    return 2;
  }
  if (verbose) {
    for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
      fmt::print("seed {}\n{}", seed, TellStory(ScenarioOf(seed), 0, steps));
    }
    return 0;
  }
  const auto begin = std::chrono::steady_clock::now();
  const Summary sum = PlaySeeds(seeds.first, seeds.last, jobs, ScenarioOf, steps);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (table) fmt::print("{}\n", Print(sum.crash_points));
  if (sum.failure) {
    fmt::print("seed {} fails: {}\n{}repeat it with: slipway-sim --seeds {} --verbose\n",
               sum.failure->seed, sum.failure->violation,
               TellStory(ScenarioOf(sum.failure->seed), 60, steps), sum.failure->seed);
    return 1;
  }
  fmt::print("seeds {}..{}: every check held; {} events in {:.1f} s, {} releases\n", seeds.first,
             seeds.last, sum.steps, took.count(), sum.releases);
  return 0;
}

}  // namespace
}  // namespace slipway::sim

int main(int argc, char** argv) { return slipway::sim::Run(argc, argv); }
