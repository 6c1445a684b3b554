#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "tests/sim/sim_store.h"

namespace slipway::sim {

using Millis = std::chrono::milliseconds;

// What goes wrong, and how often. Times are means between two events of a kind; 0: never.
struct Faults {
  double drop = 0;
  double repeat = 0;
  bool reorder = false;  // inside one stream; otherwise only between streams
  double in_doubt = 0;
  Millis controller_crash{};
  Millis controller_takeover{};  // a second controller leads while the first lives on
  Millis agent_crash{};
  Millis machine_crash{};
  Millis connection_reset{};
  Millis partition{};
  double crash_between_actions = 0;
};

// Faults of our own making, in the harness only: each must be found by the checks.
struct Planted {
  bool journal_not_synced = false;
  bool log_acked_before_synced = false;
  bool old_result_accepted = false;
  bool publish_again_after_crash = false;
  bool told_before_commit = false;
  bool epoch_ignored = false;
  bool build_not_attached = false;
  bool result_before_log = false;
};

struct Scenario {
  std::uint64_t seed = 0;
  int agents = 3;
  Faults faults;
  Planted planted;
  Millis workload{120'000};
  int submits = 25;
  int cancels = 5;
};

// Bytes of a file and how many of them survive the machine.
struct SimFile {
  std::string bytes;
  std::size_t synced = 0;
};

class SimAgent;
class SimController;

// One open stream. Messages are closures, because only the ends know what they carry.
struct Stream {
  std::uint64_t id = 0;
  int agent = 0;
  std::uint64_t agent_life = 0;
  SimController* controller = nullptr;
  bool open = true;
  MonoTime last_to_controller[2];
  MonoTime last_to_agent[2];
};

// Virtual time, network, disks of the controller, platform and all checks of one simulated farm.
class World {
 public:
  explicit World(const Scenario& scenario);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Plays the scenario to its end. Empty: every check held; else the first that did not.
  std::string Play();

  // ---- time and chance
  [[nodiscard]] MonoTime now() const { return now_; }
  [[nodiscard]] WallTime wall() const {
    return WallTime(now_.time_since_epoch() + std::chrono::hours(24 * 365 * 50));
  }
  void After(Duration delay, std::function<void()> what);
  std::uint64_t Random(std::uint64_t bound);  // [0, bound)
  Millis RandomMillis(int low, int high);
  bool Chance(double probability);
  // Faults happen only while the workload lasts.
  [[nodiscard]] bool Mishap(double probability) { return faulty_ && Chance(probability); }

  // ---- network. `lane`: 0 main stream, 1 log stream.
  std::shared_ptr<Stream> Connect(int agent, std::uint64_t agent_life);
  void ToController(const std::shared_ptr<Stream>& stream, int lane, std::function<void()> deliver);
  void ToAgent(const std::shared_ptr<Stream>& stream, int lane, std::function<void()> deliver);
  void Reset(const std::shared_ptr<Stream>& stream);

  // ---- checks
  void Violation(const std::string& what);
  [[nodiscard]] bool failed() const { return !violation_.empty(); }
  void Trace(const std::string& line);
  [[nodiscard]] std::string TraceTail() const;

  // ---- platform
  void ClientStarted(const AttemptKey& key, const std::string& nonce, bool marker_synced);
  void Published(const AttemptKey& key);

  const Scenario scenario;
  SimStore store;
  std::map<AttemptKey, SimFile> controller_logs;  // on the controller's disk
  std::map<AttemptKey, std::string> ended_logs;   // what an ended attempt had written
  std::vector<std::unique_ptr<SimAgent>> agents;
  std::vector<std::unique_ptr<SimController>> controllers;  // the last one leads

 private:
  struct Timer {
    MonoTime at;
    std::uint64_t order;
    std::function<void()> what;
  };
  void RunUntil(MonoTime end, const std::function<bool()>& done);
  void Repeat(Millis mean, std::function<void()> what);
  void PlanFaults();
  void PlanWork();
  void Submit(int number, int tries);
  void StartController();
  // A publish of unknown outcome holds its group until somebody resolves it.
  bool Blocked(const domain::Task& task) const;
  bool Settled() const;
  void CheckEnd();
  void Deliver(const std::shared_ptr<Stream>& stream, MonoTime& last,
               std::function<void()> deliver);

  std::mt19937_64 random_;
  MonoTime now_{};
  std::uint64_t last_timer_ = 0;
  std::map<std::pair<MonoTime, std::uint64_t>, std::function<void()>> timers_;
  bool faulty_ = true;
  std::string violation_;
  std::deque<std::string> trace_;
  std::uint64_t last_stream_ = 0;
  std::vector<std::shared_ptr<Stream>> streams_;
  std::vector<MonoTime> cut_until_;  // by agent
  std::map<TaskId, int> published_;
  std::map<TaskId, int> clients_;
  std::set<int> answered_;  // submits
};

}  // namespace slipway::sim
