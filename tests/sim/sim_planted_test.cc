#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <thread>

#include "tests/sim/play.h"

// Each mistake put in on purpose must be found by the invariant that it breaks: what these tests
// show is that the simulation can fail.
namespace slipway::sim {
namespace {

// What the checks say about the first seed that shows the planted mistake; empty: none does.
std::string Found(
    bool Planted::*mistake, void (*provoke)(Scenario&) = [](Scenario&) {}) {
  const unsigned jobs = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
  const Summary sum = PlaySeeds(1, 400, jobs, [&](std::uint64_t seed) {
    Scenario scenario = ScenarioOf(seed);
    scenario.planted.*mistake = true;
    provoke(scenario);
    return scenario;
  });
  return sum.failure ? sum.failure->violation : "";
}

TEST_CASE("Planted: an old attempt's result stored for the current one", "[sim]") {
  CHECK_THAT(Found(&Planted::old_result_accepted), Catch::StartsWith("1:"));
}

TEST_CASE("Planted: a controller that speaks before the commit", "[sim]") {
  CHECK_THAT(Found(&Planted::told_before_commit), Catch::StartsWith("2:"));
}

TEST_CASE("Planted: a commit that a new leader does not wait for", "[sim]") {
  CHECK_THAT(Found(&Planted::commit_not_fenced,
                   [](Scenario& scenario) { scenario.faults.controller_takeover = Millis(5'000); }),
             Catch::StartsWith("2:"));
}

TEST_CASE("Planted: an agent that obeys an outdated leader", "[sim]") {
  CHECK_THAT(Found(&Planted::epoch_ignored,
                   [](Scenario& scenario) {
                     scenario.faults.controller_takeover = Millis(10'000);
                     scenario.faults.connection_reset = Millis(2'000);
                   }),
             Catch::StartsWith("3:"));
}

TEST_CASE("Planted: a controller that never says forget", "[sim]") {
  CHECK_THAT(Found(&Planted::never_forgotten), Catch::StartsWith("3:"));
}

TEST_CASE("Planted: an operator's order that a reload forgets", "[sim]") {
  CHECK_THAT(Found(&Planted::orders_lost_at_reload,
                   [](Scenario& scenario) {
                     scenario.orders = Millis(5'000);
                     scenario.faults.in_doubt = 0.1;
                   }),
             Catch::StartsWith("3:"));
}

TEST_CASE("Planted: a revoked agent that another controller lets in", "[sim]") {
  CHECK_THAT(Found(&Planted::revoked_agent_let_in,
                   [](Scenario& scenario) {
                     scenario.departures = Millis(10'000);
                     scenario.faults.controller_crash = Millis(15'000);
                   }),
             Catch::StartsWith("3:"));
}

TEST_CASE("Planted: an agent that is retired before it has finished", "[sim]") {
  CHECK_THAT(Found(&Planted::retired_with_work,
                   [](Scenario& scenario) { scenario.departures = Millis(10'000); }),
             Catch::StartsWith("3:"));
}

TEST_CASE("Planted: a concurrency group that a reload forgets", "[sim]") {
  CHECK_THAT(Found(&Planted::groups_lost_at_reload,
                   [](Scenario& scenario) { scenario.faults.controller_crash = Millis(15'000); }),
             Catch::StartsWith("4:"));
}

TEST_CASE("Planted: an agent that starts what it has only promised", "[sim]") {
  CHECK_THAT(Found(&Planted::started_on_promise), Catch::StartsWith("4:"));
}

TEST_CASE("Planted: a build that is started anew instead of adopted", "[sim]") {
  CHECK_THAT(Found(&Planted::build_not_attached), Catch::StartsWith("5:"));
}

TEST_CASE("Planted: log bytes acknowledged before they are on the disk", "[sim]") {
  CHECK_THAT(Found(&Planted::log_acked_before_synced), Catch::StartsWith("6:"));
}

TEST_CASE("Planted: a result taken before its log is complete", "[sim]") {
  CHECK_THAT(Found(&Planted::result_before_log), Catch::StartsWith("6:"));
}

TEST_CASE("Planted: a spool that grows beyond its budget", "[sim]") {
  CHECK_THAT(Found(&Planted::spool_not_bounded), Catch::StartsWith("6:"));
}

TEST_CASE("Planted: a result that is given up after it was sent once", "[sim]") {
  CHECK_THAT(Found(&Planted::result_given_up), Catch::StartsWith("7:"));
}

TEST_CASE("Planted: a log that nobody follows any more after the disk was full", "[sim]") {
  CHECK_THAT(Found(&Planted::log_ends_at_full_disk,
                   [](Scenario& scenario) { scenario.faults.agent_disk_full = Millis(4'000); }),
             Catch::StartsWith("7:"));
}

TEST_CASE("Planted: a controller without a grace period after its start", "[sim]") {
  CHECK_THAT(Found(&Planted::no_grace,
                   [](Scenario& scenario) { scenario.faults.controller_crash = Millis(15'000); }),
             Catch::StartsWith("8:"));
}

TEST_CASE("Planted: a controller that does not notice that it stood still", "[sim]") {
  CHECK_THAT(Found(&Planted::standstill_not_seen,
                   [](Scenario& scenario) {
                     scenario.faults.controller_freeze = Millis(20'000);
                     scenario.faults.clocks_stand = false;
                   }),
             Catch::StartsWith("8:"));
}

TEST_CASE("Planted: a marker that was not synced", "[sim]") {
  CHECK_THAT(Found(&Planted::journal_not_synced), Catch::StartsWith("9:"));
}

TEST_CASE("Planted: a publish that is done again after a crash", "[sim]") {
  CHECK_THAT(Found(&Planted::publish_again_after_crash), Catch::StartsWith("9:"));
}

TEST_CASE("Planted: a publish that cannot be taken up told as failed", "[sim]") {
  CHECK_THAT(Found(&Planted::not_taken_up_is_failed,
                   [](Scenario& scenario) {
                     scenario.faults.agent_disk_full = Millis(4'000);
                     scenario.faults.agent_crash = Millis(4'000);
                   }),
             Catch::StartsWith("9:"));
}

TEST_CASE("Planted: a permit that has another nonce when it is asked for again", "[sim]") {
  CHECK_THAT(Found(&Planted::new_nonce_when_asked_again), Catch::StartsWith("9:"));
}

TEST_CASE("Planted: a client that starts after the end of its permit", "[sim]") {
  CHECK_THAT(Found(&Planted::permit_end_ignored,
                   [](Scenario& scenario) {
                     scenario.faults.freeze_between_actions = 0.02;
                     scenario.faults.clocks_stand = false;
                     scenario.faults.clock_step = Millis();
                   }),
             Catch::StartsWith("9:"));
}

TEST_CASE("Planted: a client that goes on after its deadline", "[sim]") {
  CHECK_THAT(Found(&Planted::deadline_ignored,
                   [](Scenario& scenario) {
                     scenario.faults.machine_suspend = Millis(4'000);
                     scenario.faults.clocks_stand = false;
                     scenario.faults.clock_step = Millis();
                   }),
             Catch::StartsWith("9:"));
}

TEST_CASE("Planted: a publish taken as not done before the platform shows it", "[sim]") {
  CHECK_THAT(Found(&Planted::margin_forgotten,
                   [](Scenario& scenario) {
                     scenario.looks = Millis(100);
                     scenario.faults.machine_crash = Millis(10'000);
                     scenario.faults.clocks_stand = false;
                     scenario.faults.clock_step = Millis();
                   }),
             Catch::StartsWith("9:"));
}

TEST_CASE("Planted: a probe that could not tell taken as a no", "[sim]") {
  CHECK_THAT(Found(&Planted::probe_guesses,
                   [](Scenario& scenario) { scenario.faults.machine_crash = Millis(4'000); }),
             Catch::StartsWith("9:"));
}

TEST_CASE("Planted: a preview that is told to be in doubt as a publish is", "[sim]") {
  CHECK_THAT(Found(&Planted::late_preview_in_doubt,
                   [](Scenario& scenario) {
                     scenario.faults.machine_suspend = Millis(4'000);
                     scenario.faults.clocks_stand = false;
                   }),
             Catch::StartsWith("9:"));
}

TEST_CASE("Planted: a wait that counts from the submit", "[sim]") {
  CHECK_THAT(Found(&Planted::wait_not_begun_anew,
                   [](Scenario& scenario) {
                     scenario.orders = Millis(1'000);
                     scenario.faults.agent_crash = Millis(4'000);
                     scenario.faults.machine_crash = Millis(10'000);
                     scenario.faults.controller_crash = Millis(20'000);
                     scenario.faults.clock_step = Millis();
                   }),
             Catch::StartsWith("10:"));
}

TEST_CASE("Planted: a build that is tried again whatever it failed of", "[sim]") {
  CHECK_THAT(Found(&Planted::every_failure_retried), Catch::StartsWith("10:"));
}

TEST_CASE("Planted: a secret in the text of a step", "[sim]") {
  CHECK_THAT(Found(&Planted::secret_in_step), Catch::StartsWith("11:"));
}

TEST_CASE("Planted: a secret in the journal", "[sim]") {
  CHECK_THAT(Found(&Planted::secret_in_journal), Catch::StartsWith("11:"));
}

TEST_CASE("Planted: a permit for what was canceled before", "[sim]") {
  CHECK_THAT(Found(&Planted::permit_despite_cancel,
                   [](Scenario& scenario) { scenario.faults.in_doubt = 0.2; }),
             Catch::StartsWith("12:"));
}

}  // namespace
}  // namespace slipway::sim
