#pragma once

#include <compare>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "agent/executor/container_engine.h"
#include "agent/executor/reaper.h"
#include "agent/networks/quiet.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace slipway::networks {

// Whose namespaces are alike: those of one application, which is one domain of trust, with the same
// way to the outside.
struct Kind {
  std::string application;  // its id
  executor::NetworkKind network = executor::NetworkKind::kNone;

  friend auto operator<=>(const Kind&, const Kind&) = default;
};

struct KeeperOptions {
  executor::Owner owner;
  // slipway-init as the Engine's machine sees it; it holds the namespaces.
  std::string init_binary;
  // Docker network of those with NetworkKind::kBridge.
  std::string bridge = "slipway";
  // Namespaces at once; 0: none is kept.
  std::size_t capacity = 2;
  // One that nobody took for so long is given up.
  Duration idle_for = std::chrono::minutes(10);
  // Between looks whether they live.
  Duration interval = std::chrono::seconds(30);
  Duration engine_timeout = std::chrono::seconds(60);
  std::function<bool(const executor::ContainerId&, int pid)> is_quiet = IsQuiet;
};

// Keeps network namespaces for the builds that come next, because making one is most of what the
// start of a container costs. Each belongs to one application, is used by one container at a time,
// and is only given out again when no socket is left in it. It is held by a small container of its
// own, in which nothing but slipway-init ever runs; who joins it has its interface, its address and
// its /etc/hosts, and no right to change any of it.
//
// A build of a kind for which none is free makes its own, as it would without this, and says so
// with Wanted. Namespaces are made and given up by a thread of the keeper's. Containers outlive the
// object; the reaper removes them. Thread-safe.
class NetworkKeeper {
 public:
  // `engine` must outlive this.
  NetworkKeeper(KeeperOptions options, executor::ContainerEngine& engine);
  ~NetworkKeeper();
  NetworkKeeper(const NetworkKeeper&) = delete;
  NetworkKeeper& operator=(const NetworkKeeper&) = delete;

  void Start();
  // Gives up those that nobody uses, and makes no more. Those in use stay, as their builds do.
  // False: a call of the Engine has not returned after `patience`; the destructor waits for it.
  [[nodiscard]] bool Stop(Duration patience);

  // The name of a container whose namespace the attempt may join; nullopt: none is free. It is the
  // attempt's until Return. Asks the Engine.
  [[nodiscard]] std::optional<std::string> Take(const Kind& kind, const AttemptKey& attempt);
  // Nothing of the attempt is alive any more. `name`: as the attempt noted it, for one that an
  // earlier process of the agent gave out, which is given up. Idempotent.
  void Return(const AttemptKey& attempt, const std::string& name);
  // What Take gave cannot be joined: gives it up. Idempotent.
  void Discard(const AttemptKey& attempt);
  // A container of the kind had to make its own namespace: one is made for the next, of `image`,
  // which is on the machine.
  void Wanted(const Kind& kind, const std::string& image);

  // The containers that hold namespaces, those that are being made included.
  [[nodiscard]] std::set<executor::ContainerId> Held() const;
  struct Counts {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
  };
  [[nodiscard]] Counts counts() const;

 private:
  struct Namespace {
    Kind kind;
    executor::ContainerId id;  // empty while it is made
    std::optional<AttemptKey> user;
    MonoTime free_since;
  };
  struct Order {
    std::string name;
    std::string image;  // empty: remove it
    MonoTime after;     // not before
  };

  void Work();
  [[nodiscard]] bool Stopping() const;
  void Make(const Order& order, const Kind& kind);
  // Gives up the free ones whose container has ended, as all do when the Engine is restarted.
  void GiveUpDead();
  // The first that is due. REQUIRES: mu_
  [[nodiscard]] std::deque<Order>::iterator NextOrder(MonoTime now);
  void GiveUp(std::map<std::string, Namespace>::iterator it);  // REQUIRES: mu_
  void GiveUpIdle(MonoTime now);                               // REQUIRES: mu_
  // Makes room for one more; false: all are in use. REQUIRES: mu_
  bool MakeRoom();

  const KeeperOptions options_;
  executor::ContainerEngine& engine_;
  const SystemClock clock_;

  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::map<std::string, Namespace> namespaces_;  // by name of the holding container
  std::deque<Order> orders_;
  Counts counts_;
  std::optional<MonoTime> stop_by_;
  bool working_ = false;

  std::thread worker_;
};

}  // namespace slipway::networks
