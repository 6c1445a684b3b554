#pragma once

#include <chrono>
#include <cstdint>

namespace slipway::sim {

using Millis = std::chrono::milliseconds;

// What goes wrong, and how often. Times are means between two events of a kind; 0: never.
struct Faults {
  double drop = 0;
  double repeat = 0;
  bool reorder = false;  // inside one stream; otherwise only between streams
  Millis connection_reset{};
  Millis partition{};

  // Of a commit's answer, whether it was stored or not.
  double in_doubt = 0;
  // A process dies, or stands still, after some of the actions of one step were done.
  double crash_between_actions = 0;
  double freeze_between_actions = 0;

  Millis controller_crash{};  // half of them with the machine: unsynced bytes are lost
  Millis controller_freeze{};
  Millis controller_takeover{};  // a second controller leads while the first lives, or is frozen
  Millis agent_crash{};
  Millis agent_freeze{};
  Millis machine_crash{};
  Millis machine_suspend{};  // containers stand still, too
  // The measuring clock of what is frozen or suspended stands still as well.
  bool clocks_stand = false;

  Millis agent_disk_full{};
  Millis controller_disk_full{};
  Millis clock_step{};  // of a wall clock, on either side, up to a day in both directions
};

// Mistakes put in on purpose, each into one place of the world around the cores or into what the
// cores say. The checks must find every one of them.
struct Planted {
  bool old_result_accepted = false;         // 1
  bool told_before_commit = false;          // 2
  bool commit_not_fenced = false;           // 2
  bool epoch_ignored = false;               // 3
  bool never_forgotten = false;             // 3
  bool orders_lost_at_reload = false;       // 3
  bool revoked_agent_let_in = false;        // 3
  bool retired_with_work = false;           // 3
  bool started_on_promise = false;          // 4
  bool groups_lost_at_reload = false;       // 4
  bool build_not_attached = false;          // 5
  bool log_acked_before_synced = false;     // 6
  bool result_before_log = false;           // 6
  bool spool_not_bounded = false;           // 6
  bool result_given_up = false;             // 7
  bool log_ends_at_full_disk = false;       // 7
  bool no_grace = false;                    // 8
  bool standstill_not_seen = false;         // 8
  bool journal_not_synced = false;          // 9
  bool publish_again_after_crash = false;   // 9
  bool not_taken_up_is_failed = false;      // 9
  bool new_nonce_when_asked_again = false;  // 9
  bool permit_end_ignored = false;          // 9
  bool deadline_ignored = false;            // 9
  bool margin_forgotten = false;            // 9
  bool probe_guesses = false;               // 9
  bool late_preview_in_doubt = false;       // 9
  bool every_failure_retried = false;       // 10
  bool wait_not_begun_anew = false;         // 10
  bool secret_in_step = false;              // 11
  bool secret_in_journal = false;           // 11
  bool permit_despite_cancel = false;       // 12
};

struct Scenario {
  std::uint64_t seed = 0;
  int agents = 3;
  Faults faults;
  Planted planted;
  Millis workload{120'000};
  int submits = 24;
  int cancels = 8;
  Millis looks{1'500};  // between two looks at a publish of unknown outcome
  Millis orders{};      // between two orders to pause or drain an agent; 0: none
  Millis departures{};  // between two orders to retire or revoke one; 0: none
  // Leases end sooner than the grace period of a controller start.
  bool short_leases = false;
};

// The scenario of a seed. The kinds of trouble are mixed by it, so that no seed is everything at
// once: a calm world shows what a wild one hides.
[[nodiscard]] Scenario ScenarioOf(std::uint64_t seed);

}  // namespace slipway::sim
