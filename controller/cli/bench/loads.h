#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/cli/bench/figures.h"
#include "controller/cli/client.h"
#include "controller/cli/client_options.h"
#include "controller/cli/text.h"

// What slipway-bench can measure: one function per load, with its flags in a struct. Each cleans up
// after itself: its mock agents leave the farm; runs and audit entries stay, as those of any user.
namespace slipway::bench {

// What every load has.
struct Bench {
  const cli::Client& client;
  const cli::Access& options;
  cli::Text text;
  // Shows how far it is.
  std::function<void(const std::string& line)> say;
};

using Measured = absl::StatusOr<std::vector<Figure>>;

struct TasksFlags {
  int agents = 50;
  int slots = 16;
  int tasks = 20'000;
  int calls = 64;
  int batch = 1;
  int unfinished = 800;
  double rate = 0;
};
// No-op builds on mock agents: how many go through, and how long each takes.
[[nodiscard]] Measured MeasureTasks(const Bench& bench, const TasksFlags& flags);

struct AgentsFlags {
  int agents = 1000;
  int idle_seconds = 30;
  // Wait for a restart of the controller, and for all to be back.
  bool restart = false;
};
// Idle mock agents: how fast they connect and, after a restart, come back.
[[nodiscard]] Measured MeasureAgents(const Bench& bench, const AgentsFlags& flags);

struct BuildsFlags {
  std::string application;
  std::string platform;
  std::string ref;  // a full commit id spares the agent the question what a branch is at
  std::vector<std::string> require;  // KEY=VALUE
  int builds = 50;
  int at_once = 1;
  int warm_up = 1;   // builds before those that count
  int pause_ms = 0;  // of each worker, after a build
  // The hot cache may answer; else every build runs.
  bool hot_cache = false;
};
// Real builds of an application that is there, by the farm's own agents: how long until the
// follower sees output and result. An error: a build failed, or its log did not come whole.
[[nodiscard]] Measured MeasureBuilds(const Bench& bench, const BuildsFlags& flags);

struct LogsFlags {
  int logs = 8;
  int followers = 1;  // of each log
  std::uint64_t bytes = 200'000'000;
  // Lines with the time instead of bytes as fast as they go; 0: bytes.
  double lines_per_s = 0;
  int seconds = 10;
  // Of the controller, when it runs on this machine; 0: its CPU is not measured.
  int controller_pid = 0;
};
// Logs of mock builds, and who follows them: how fast they are stored and shown, how late a line
// is, and whether each follower gets every byte.
[[nodiscard]] Measured MeasureLogs(const Bench& bench, const LogsFlags& flags);

struct CallsFlags {
  int calls = 2000;
  // Applications of a page to list; 0: who the caller is.
  int page = 0;
};
// Unary calls by gRPC over one connection, one after another: how long each takes.
[[nodiscard]] Measured MeasureCalls(const Bench& bench, const CallsFlags& flags);

}  // namespace slipway::bench
