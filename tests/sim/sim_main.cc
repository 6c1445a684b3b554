// slipway-sim: plays the simulation outside of ctest.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <map>
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

const std::map<std::string, bool Planted::*> kMistakes = {
    {"old-result-accepted", &Planted::old_result_accepted},
    {"told-before-commit", &Planted::told_before_commit},
    {"commit-not-fenced", &Planted::commit_not_fenced},
    {"epoch-ignored", &Planted::epoch_ignored},
    {"never-forgotten", &Planted::never_forgotten},
    {"orders-lost-at-reload", &Planted::orders_lost_at_reload},
    {"revoked-agent-let-in", &Planted::revoked_agent_let_in},
    {"retired-with-work", &Planted::retired_with_work},
    {"started-on-promise", &Planted::started_on_promise},
    {"groups-lost-at-reload", &Planted::groups_lost_at_reload},
    {"build-not-attached", &Planted::build_not_attached},
    {"log-acked-before-synced", &Planted::log_acked_before_synced},
    {"result-before-log", &Planted::result_before_log},
    {"spool-not-bounded", &Planted::spool_not_bounded},
    {"result-given-up", &Planted::result_given_up},
    {"log-ends-at-full-disk", &Planted::log_ends_at_full_disk},
    {"no-grace", &Planted::no_grace},
    {"standstill-not-seen", &Planted::standstill_not_seen},
    {"journal-not-synced", &Planted::journal_not_synced},
    {"publish-again-after-crash", &Planted::publish_again_after_crash},
    {"not-taken-up-is-failed", &Planted::not_taken_up_is_failed},
    {"new-nonce-when-asked-again", &Planted::new_nonce_when_asked_again},
    {"permit-end-ignored", &Planted::permit_end_ignored},
    {"deadline-ignored", &Planted::deadline_ignored},
    {"margin-forgotten", &Planted::margin_forgotten},
    {"probe-guesses", &Planted::probe_guesses},
    {"late-preview-in-doubt", &Planted::late_preview_in_doubt},
    {"every-failure-retried", &Planted::every_failure_retried},
    {"wait-not-begun-anew", &Planted::wait_not_begun_anew},
    {"secret-in-step", &Planted::secret_in_step},
    {"secret-in-journal", &Planted::secret_in_journal},
    {"permit-despite-cancel", &Planted::permit_despite_cancel},
};

int Run(int argc, char** argv) {
  CLI::App app(
      "Plays the controller's and the agent's cores under faults and checks the invariants "
      "of docs/protocol.md. A seed always plays the same story.");
  std::string text = "1..1000";
  unsigned jobs = std::max(1U, std::thread::hardware_concurrency());
  std::uint64_t steps = 0;
  bool verbose = false;
  bool table = false;
  std::string plant;
  app.add_option("--seeds", text, "one seed, or a range A..B")->capture_default_str();
  app.add_option("--jobs", jobs, "threads")->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--steps", steps, "end each story after so many events; 0: play to the end")
      ->capture_default_str();
  app.add_flag("--verbose", verbose, "tell the whole story of each seed");
  app.add_flag("--table", table, "print which message met which crash point how often");
  app.add_option("--plant", plant, "put in a mistake, which the checks have to find")
      ->check(CLI::IsMember(kMistakes));
  CLI11_PARSE(app, argc, argv);
  Seeds seeds;
  if (!Parse(text, seeds)) {
    fmt::print(stderr, "slipway-sim: --seeds {}: give one seed, or a range A..B\n", text);
    return 2;
  }
  const auto scenario = [&plant](std::uint64_t seed) {
    Scenario result = ScenarioOf(seed);
    if (!plant.empty()) result.planted.*kMistakes.at(plant) = true;
    return result;
  };
  if (verbose) {
    for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
      fmt::print("seed {}\n{}", seed, TellStory(scenario(seed), 0, steps));
    }
    return 0;
  }
  const auto begin = std::chrono::steady_clock::now();
  const Summary sum = PlaySeeds(seeds.first, seeds.last, jobs, scenario, steps);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (table) fmt::print("{}\n", Print(sum.crash_points));
  if (sum.failure) {
    fmt::print("seed {} fails: {}\n{}repeat it with: slipway-sim --seeds {} --verbose{}\n",
               sum.failure->seed, sum.failure->violation,
               TellStory(scenario(sum.failure->seed), 60, steps), sum.failure->seed,
               plant.empty() ? "" : " --plant " + plant);
    return 1;
  }
  fmt::print("seeds {}..{}: every check held; {} events in {:.1f} s, {} releases\n", seeds.first,
             seeds.last, sum.steps, took.count(), sum.releases);
  return 0;
}

}  // namespace
}  // namespace slipway::sim

int main(int argc, char** argv) { return slipway::sim::Run(argc, argv); }
