#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/executor/container_engine.h"
#include "agent/executor/reaper.h"
#include "agent/initlink/control_dir.h"
#include "agent/initlink/init_client.h"
#include "agent/pool/demand.h"
#include "agent/pool/kind.h"
#include "common/base/time.h"

namespace slipway::pool {

// What a waiting container has mounted, empty, on the agent's machine.
struct StallPaths {
  std::string dir;      // <data_dir>/warm/<id>, of the next three
  std::string control;  // without a log
  std::string out;
  std::string home;
  std::string tree;    // <work_dir>/warm/<id>
  std::string caches;  // <work_dir>/warm-caches/<id>, the agent's own
};

// A container that runs slipway-init and has never been used.
struct Stall {
  Kind kind;
  executor::ContainerId container;
  StallPaths paths;
  initlink::ControlDir control;
  std::unique_ptr<initlink::InitClient> init;
  // What the Engine had to leave out, in its own words.
  std::vector<std::string> warnings;
  // It did not answer in time when somebody wanted it.
  bool late = false;
};

struct PoolOptions {
  executor::Owner owner;
  std::string data_dir;
  std::string work_dir;
  // Owner of what steps may write to.
  std::uint32_t step_uid = 1000;
  std::uint32_t step_gid = 1000;
  // The container of a kind with these directories: everything but its name and labels.
  std::function<executor::ContainerSpec(const Kind&, const StallPaths&)> spec;
  // Containers at once; 0: there is no pool.
  std::size_t capacity = 2;
  DemandOptions demand;
  // Nothing is made before nobody has wished for anything for so long: it would cost the builds
  // that have just begun.
  Duration quiet = std::chrono::milliseconds(500);
  // But at most so long after a wish.
  Duration longest_wait = std::chrono::seconds(10);
  // From Name until it is done.
  Duration name_after = std::chrono::milliseconds(300);
  // Between looks at what was wished for long ago, and at the memory.
  Duration interval = std::chrono::seconds(30);
  Duration engine_timeout = std::chrono::seconds(60);
  // Bytes that the machine can give without swapping; nullopt: unknown, which sets no limit.
  std::function<std::optional<std::int64_t>()> available_memory;
};

// Containers that are started before anybody needs them, because starting one is nearly all that a
// short build waits for. Each has its own network, empty directories and a slipway-init that waits
// with an open connection; it is given to one attempt, whichever application's, and removed with
// it. How many of which kind there are follows the builds of the last half hour.
//
// They are made and given up by a thread of the pool's. Containers outlive the object; the reaper
// removes them, and Create what they had mounted. Thread-safe.
class WarmPool {
 public:
  // Removes what an earlier process has left in the directories: of attempts that joined one of its
  // containers nothing is there any more. `engine` must outlive this.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<WarmPool>> Create(
      PoolOptions options, executor::ContainerEngine& engine);
  ~WarmPool();
  WarmPool(const WarmPool&) = delete;
  WarmPool& operator=(const WarmPool&) = delete;

  void Start();
  // Gives up what waits, and makes no more. False: a call of the Engine has not returned after
  // `patience`; the destructor waits for it.
  [[nodiscard]] bool Stop(Duration patience);
  // While a disk is filling up none waits: their images could not be deleted.
  void Suspend(bool suspended);

  // A container of the kind, which is the caller's from now on; its directories too. nullopt: none
  // is ready; one may be for the next. Asks its slipway-init.
  [[nodiscard]] std::optional<Stall> Take(const Kind& kind);
  // What Take gave is not used: gives it up.
  void GiveUp(Stall stall);
  // Has the container that Take gave named so, for people who look at the Engine: soon, because the
  // build begins right now, unless it is Gone by then. Returns at once.
  void Name(const executor::ContainerId& container, std::string name);
  // The container that Take gave is removed.
  void Gone(const executor::ContainerId& container);

  // The containers that wait or were taken and not told to be gone.
  [[nodiscard]] std::set<executor::ContainerId> Held() const;
  struct Counts {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::size_t ready = 0;
  };
  [[nodiscard]] Counts counts() const;

 private:
  WarmPool(PoolOptions options, executor::ContainerEngine& engine);

  void Work();
  // What there is to do now: a kind to make one of, or one to give up. REQUIRES: mu_
  struct Order {
    std::optional<Kind> make;
    std::optional<Stall> give_up;
  };
  [[nodiscard]] Order NextOrder(MonoTime now);
  [[nodiscard]] std::size_t Room() const;
  [[nodiscard]] absl::StatusOr<Stall> Make(const Kind& kind);
  void Remove(Stall stall);
  [[nodiscard]] StallPaths PathsOf(const std::string& id) const;

  const PoolOptions options_;
  executor::ContainerEngine& engine_;
  const SystemClock clock_;

  mutable std::mutex mu_;
  std::condition_variable changed_;
  Demand demand_;
  std::vector<Stall> ready_;
  std::set<executor::ContainerId> taken_;
  std::deque<Stall> unwanted_;
  struct Naming {
    executor::ContainerId container;
    std::string name;
    MonoTime after;
  };
  std::deque<Naming> names_;
  // The one that is being made or removed.
  executor::ContainerId at_hand_;
  std::optional<MonoTime> first_wish_;  // since the last look
  MonoTime latest_wish_;
  // After one that could not be removed.
  MonoTime remove_after_;
  bool suspended_ = false;
  bool working_ = false;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
  std::optional<MonoTime> stop_by_;

  std::thread worker_;
};

// MemAvailable of /proc/meminfo.
[[nodiscard]] std::optional<std::int64_t> AvailableMemory();

}  // namespace slipway::pool
