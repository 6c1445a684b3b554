#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/executor/container_engine.h"
#include "agent/health/cache_source.h"
#include "agent/health/disk_policy.h"
#include "agent/health/engine_watch.h"
#include "common/base/time.h"
#include "common/protocol/health.h"

namespace slipway::health {

struct KeeperOptions {
  DiskLimits limits;
  // Directories whose file systems count.
  std::vector<std::string> paths;
  // The Engine's data counts too, where this machine sees it under the same path.
  bool engine_is_local = true;
  // Whether the Engine answered before the keeper began.
  bool engine_was_well = true;
  // Between two looks at disks and Engine.
  Duration interval = std::chrono::seconds(10);
  // For one answer of the Engine.
  Duration engine_timeout = std::chrono::seconds(15);
};

// What the keeper works with; everything outlives it and is thread-safe.
struct KeeperParts {
  executor::ContainerEngine& engine;
  std::vector<CacheSource*> caches;
  // Waits until what was deleted is gone from the disk, or `timeout`.
  std::function<void(Duration timeout)> settle;
  // Takes every look's outcome; only queues.
  std::function<void(protocol::AgentHealth)> report;
  // The Engine answers again after it did not: may block on it.
  std::function<void()> engine_is_back;
  std::function<protocol::StartCounts()> starts = [] { return protocol::StartCounts(); };
};

// Looks at the disks and at the Docker Engine, on a thread each, so that a hung Engine hides no
// full disk; deletes caches while a disk is under pressure.
//
// Thread-safe.
class HealthKeeper {
 public:
  HealthKeeper(KeeperOptions options, KeeperParts parts);
  // Stops.
  ~HealthKeeper();
  HealthKeeper(const HealthKeeper&) = delete;
  HealthKeeper& operator=(const HealthKeeper&) = delete;

  void Start();
  // Requests the end; the threads end with the call that they are in.
  void Stop();

 private:
  void WatchDisks(const std::stop_token& stop);
  void WatchEngine(const std::stop_token& stop);
  // Measures and judges; reports. True: one is not kOk.
  bool LookAtDisks();
  // Deletes caches until no disk is under pressure or nothing is left.
  void MakeRoom(const std::stop_token& stop);
  void Report();
  // False: stop.
  [[nodiscard]] bool Pause(const std::stop_token& stop);

  // Constant after construction.
  const KeeperOptions options_;
  const KeeperParts parts_;
  const SystemClock clock_;

  std::mutex mu_;
  std::condition_variable_any changed_;
  // Guarded by mu_.
  std::map<std::uint64_t, protocol::DiskHealth> disks_;  // by device
  EngineWatch engine_;
  std::string engine_root_;

  // Last: they use the rest.
  std::jthread disk_thread_;
  std::jthread engine_thread_;
};

}  // namespace slipway::health
