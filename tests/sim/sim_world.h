#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/protocol/messages.h"
#include "tests/sim/crash_points.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/oracles.h"
#include "tests/sim/process.h"
#include "tests/sim/scenario.h"
#include "tests/sim/sim_random.h"
#include "tests/sim/sim_store.h"

namespace slipway::sim {

// Bytes of a file and how many of them survive the machine.
struct SimFile {
  std::string bytes;
  std::size_t synced = 0;
};

class SimAgent;
class SimController;

// One open stream. Its ends learn of its end one after the other.
struct Stream {
  std::uint64_t id = 0;
  int agent = 0;
  SimController* controller = nullptr;
  bool open = true;
  // What one end had not read when the stream broke is gone.
  bool unread_is_lost = false;
  // The agent hears from its end that it has left the farm.
  bool refused = false;
  // By lane: 0 main stream, 1 log bytes and their acks.
  MonoTime last_to_controller[2];
  MonoTime last_to_agent[2];
};

// How to play a scenario; none of it changes the story.
struct PlayOptions {
  bool keep_trace = false;      // of everything; otherwise nothing is written down
  std::uint64_t max_steps = 0;  // stop after as many events; 0: play to the end
};

// Virtual time, chance, network, disk of the controller, platform and plot of one simulated farm.
class World {
 public:
  explicit World(const Scenario& scenario, PlayOptions options = {});
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Plays the scenario to its end. Empty: every check held; else the first that did not.
  std::string Play();
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

  // ---- time and chance
  [[nodiscard]] MonoTime now() const { return now_; }
  [[nodiscard]] WallTime wall() const {
    return WallTime(now_.time_since_epoch() + std::chrono::hours(24 * 365 * 50));
  }
  void After(Duration delay, Job what);
  std::uint64_t Random(std::uint64_t bound) { return random_.Below(bound); }  // [0, bound)
  Millis RandomMillis(int low, int high);
  bool Chance(double probability) { return random_.Chance(probability); }
  // Faults happen only while the workload lasts.
  [[nodiscard]] bool Mishap(double probability) { return faulty_ && Chance(probability); }
  [[nodiscard]] bool agent_disk_full(int agent) const;
  [[nodiscard]] bool controller_disk_full() const { return now_ < controller_disk_full_until_; }

  // ---- network
  std::shared_ptr<Stream> Connect(int agent);
  void ToController(const std::shared_ptr<Stream>& stream, protocol::AgentMessage message);
  void ToAgent(const std::shared_ptr<Stream>& stream, protocol::ControllerMessage message);
  void Reset(const std::shared_ptr<Stream>& stream);
  // As Reset, and tells the agent that it is thrown out, if that arrives.
  void Refuse(const std::shared_ptr<Stream>& stream);
  // Its streams break, and its supervisor starts another one unless one lives by then.
  void ControllerDied(const SimController& controller);

  // ---- what is seen
  [[nodiscard]] bool failed() const { return oracles.failed(); }
  template <typename... Parts>
  void Trace(const Parts&... parts) {
    if (!options_.keep_trace) return;
    std::ostringstream line;
    (line << ... << parts);
    WriteTrace(line.str());
  }
  [[nodiscard]] bool tracing() const { return options_.keep_trace; }
  [[nodiscard]] const std::vector<std::string>& trace() const { return trace_; }
  // A message met a crash point. `agent`: whose journal tells; -1: nobody's.
  void Hit(Message message, CrashPoint point, const AttemptKey& key, int agent);
  void HitLost(const protocol::AgentMessage& message, int agent, CrashPoint point);
  void HitLost(const protocol::ControllerMessage& message, int agent, CrashPoint point);

  // A publish of unknown outcome holds its group until somebody resolves it.
  [[nodiscard]] bool Blocked(const domain::Task& task) const;
  // Runs asked for beside the submits.
  [[nodiscard]] std::uint64_t probes_asked() const { return probes_asked_; }

  const Scenario scenario;
  SimStore store;
  Oracles oracles;
  CrashPoints crash_points;
  // Commits whose answer was lost, by the kinds of change in them: not stored, stored.
  std::array<std::array<std::uint64_t, 2>, std::variant_size_v<store::Change>> doubts{};
  std::map<AttemptKey, SimFile> controller_logs;  // on the controller's disk
  std::vector<std::unique_ptr<SimAgent>> agents;
  std::vector<std::unique_ptr<SimController>> controllers;  // all there ever were

 private:
  void RunUntil(MonoTime end, const std::function<bool()>& done);
  void Repeat(Millis mean, const Job& what);
  void PlanFaults();
  void PlanWork();
  void Submit(int number, int tries);
  void Cancel();
  void Resolve();
  void Probe(const TaskId& publish);
  void Depart();
  // New machines take the place of those that have left.
  void ReplaceGone();
  // An operator's order about an agent, given until somebody hears it or the operator wants
  // something else.
  void Order(std::size_t agent, domain::AgentMode mode);
  void GiveOrder(std::size_t agent, domain::AgentMode mode, std::uint64_t number);
  void StartController();
  // The living one of the newest term; a dead one when none lives.
  [[nodiscard]] SimController& Leader() const;
  bool Settled() const;
  void CheckEnd();
  void WriteTrace(const std::string& line);
  // When the next message of this lane arrives.
  Duration Travel(MonoTime& last);

  const PlayOptions options_;
  SimRandom random_;
  MonoTime now_{};
  EventQueue events_;
  std::uint64_t steps_ = 0;
  bool faulty_ = true;
  std::vector<std::string> trace_;
  std::uint64_t last_stream_ = 0;
  std::vector<std::shared_ptr<Stream>> streams_;
  std::vector<MonoTime> cut_until_;        // by agent
  std::vector<MonoTime> disk_full_until_;  // by agent
  MonoTime controller_disk_full_until_;
  std::set<int> answered_;           // submits
  std::map<TaskId, TaskId> probes_;  // the newest, by publish
  std::uint64_t probes_asked_ = 0;
  std::set<int> replaced_;                             // agents
  std::set<std::size_t> leaving_;                      // agents that somebody retires or revokes
  std::map<std::size_t, std::uint64_t> newest_order_;  // by agent
};

}  // namespace slipway::sim
