#include "agent/networks/network_keeper.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/executor/labels.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::networks {
namespace {

using namespace std::chrono_literals;

constexpr char kInit[] = "/slipway/init";
constexpr std::int64_t kMemory = std::int64_t{16} << 20;
constexpr std::int64_t kPids = 8;
// For the look at a namespace before it is given out: a new one costs about as much.
constexpr auto kLook = 1s;
// Before a removal that failed is tried again.
constexpr auto kPause = 10s;
constexpr auto kStopLook = 200ms;

executor::ContainerSpec HolderOf(const KeeperOptions& options, const Kind& kind,
                                 const std::string& name, const std::string& image) {
  executor::ContainerSpec spec;
  spec.name = name;
  spec.image = image;
  spec.labels = {{executor::kLabelFarm, options.owner.farm.value()},
                 {executor::kLabelAgent, options.owner.agent.value()},
                 {executor::kLabelKind, "network"}};
  spec.argv = {kInit, "--hold"};
  spec.user = "65534:65534";
  spec.working_dir = "/";
  spec.hostname = "slipway";
  spec.read_only_rootfs = true;
  spec.binds = {{.host_path = options.init_binary, .container_path = kInit, .read_only = true}};
  spec.network.kind = kind.network;
  if (kind.network == executor::NetworkKind::kBridge) spec.network.name = options.bridge;
  spec.memory_bytes = kMemory;
  spec.pids_limit = kPids;
  return spec;
}

}  // namespace

NetworkKeeper::NetworkKeeper(KeeperOptions options, executor::ContainerEngine& engine)
    : options_(std::move(options)), engine_(engine) {}

NetworkKeeper::~NetworkKeeper() {
  (void)Stop(Duration::zero());
  if (worker_.joinable()) worker_.join();
}

void NetworkKeeper::Start() {
  working_ = true;
  worker_ = std::thread([this] {
    Work();
    const std::lock_guard lock(mu_);
    working_ = false;
    changed_.notify_all();
  });
}

bool NetworkKeeper::Stop(Duration patience) {
  std::unique_lock lock(mu_);
  if (!stop_by_) stop_by_ = clock_.Mono() + patience;
  std::erase_if(orders_, [](const Order& order) { return !order.image.empty(); });
  for (Order& order : orders_) order.after = {};
  for (auto it = namespaces_.begin(); it != namespaces_.end();) {
    const auto here = it++;
    if (!here->second.user && !here->second.id.value().empty()) GiveUp(here);
  }
  changed_.notify_all();
  return changed_.wait_for(lock, patience, [this] { return !working_; });
}

std::optional<std::string> NetworkKeeper::Take(const Kind& kind, const AttemptKey& attempt) {
  std::string name;
  executor::ContainerId id;
  {
    const std::lock_guard lock(mu_);
    ++counts_.misses;
    // The one that was used last: the others may grow old.
    auto best = namespaces_.end();
    for (auto it = namespaces_.begin(); it != namespaces_.end(); ++it) {
      const Namespace& space = it->second;
      if (space.kind != kind || space.user || space.id.value().empty()) continue;
      if (best == namespaces_.end() || space.free_since > best->second.free_since) best = it;
    }
    if (best == namespaces_.end()) return std::nullopt;
    best->second.user = attempt;
    name = best->first;
    id = best->second.id;
  }
  const auto state = engine_.Inspect(id, kLook);
  const bool alive = state.ok() && state->status == executor::ContainerStatus::kRunning;
  const bool quiet = alive && options_.is_quiet(id, state->pid);
  const std::lock_guard lock(mu_);
  const auto it = namespaces_.find(name);
  if (it == namespaces_.end()) return std::nullopt;
  if (!alive) {
    GiveUp(it);
    return std::nullopt;
  }
  if (!quiet) {
    // Connections that were closed wait for their last packets, for a minute at most.
    it->second.user.reset();
    return std::nullopt;
  }
  --counts_.misses;
  ++counts_.hits;
  return name;
}

void NetworkKeeper::Return(const AttemptKey& attempt, const std::string& name) {
  const std::lock_guard lock(mu_);
  for (auto& [known, space] : namespaces_) {
    if (space.user != attempt) continue;
    space.user.reset();
    space.free_since = clock_.Mono();
    return;
  }
  if (name.empty() || namespaces_.contains(name)) return;
  orders_.push_back({name, "", {}});
  changed_.notify_all();
}

void NetworkKeeper::Discard(const AttemptKey& attempt) {
  const std::lock_guard lock(mu_);
  const auto it = std::find_if(namespaces_.begin(), namespaces_.end(),
                               [&](const auto& entry) { return entry.second.user == attempt; });
  if (it != namespaces_.end()) GiveUp(it);
}

void NetworkKeeper::Wanted(const Kind& kind, const std::string& image) {
  if (options_.capacity == 0) return;
  const std::lock_guard lock(mu_);
  if (stop_by_) return;
  // Enough, once those in use come back and those on their way are there.
  const auto free = std::count_if(namespaces_.begin(), namespaces_.end(), [&](const auto& entry) {
    return entry.second.kind == kind && !entry.second.user;
  });
  if (free > 0 || !MakeRoom()) return;
  std::string name =
      fmt::format("slipway-{}-net-{}", options_.owner.agent.value(), NewId("").substr(0, 10));
  namespaces_.emplace(
      name, Namespace{.kind = kind, .id = {}, .user = std::nullopt, .free_since = clock_.Mono()});
  orders_.push_back({std::move(name), image, {}});
  changed_.notify_all();
}

bool NetworkKeeper::MakeRoom() {
  if (namespaces_.size() < options_.capacity) return true;
  auto oldest = namespaces_.end();
  for (auto it = namespaces_.begin(); it != namespaces_.end(); ++it) {
    if (it->second.user || it->second.id.value().empty()) continue;
    if (oldest == namespaces_.end() || it->second.free_since < oldest->second.free_since) {
      oldest = it;
    }
  }
  if (oldest == namespaces_.end()) return false;
  GiveUp(oldest);
  return true;
}

void NetworkKeeper::GiveUp(std::map<std::string, Namespace>::iterator it) {
  orders_.push_back({it->first, "", {}});
  namespaces_.erase(it);
  changed_.notify_all();
}

void NetworkKeeper::GiveUpIdle(MonoTime now) {
  for (auto it = namespaces_.begin(); it != namespaces_.end();) {
    const auto here = it++;
    const Namespace& space = here->second;
    const bool idle = !space.user && !space.id.value().empty();
    if (idle && now >= space.free_since + options_.idle_for) GiveUp(here);
  }
}

std::set<executor::ContainerId> NetworkKeeper::Held() const {
  const std::lock_guard lock(mu_);
  std::set<executor::ContainerId> held;
  for (const auto& [name, space] : namespaces_) {
    // While it is made only its name is known, which is an id to the Engine, but not in its lists.
    if (!space.id.value().empty()) held.insert(space.id);
  }
  return held;
}

NetworkKeeper::Counts NetworkKeeper::counts() const {
  const std::lock_guard lock(mu_);
  return counts_;
}

bool NetworkKeeper::Stopping() const {
  const std::lock_guard lock(mu_);
  return stop_by_.has_value();
}

std::deque<NetworkKeeper::Order>::iterator NetworkKeeper::NextOrder(MonoTime now) {
  return std::find_if(orders_.begin(), orders_.end(),
                      [&](const Order& order) { return order.after <= now; });
}

void NetworkKeeper::GiveUpDead() {
  std::vector<std::string> free;
  {
    const std::lock_guard lock(mu_);
    for (const auto& [name, space] : namespaces_) {
      if (!space.user && !space.id.value().empty()) free.push_back(name);
    }
  }
  for (const std::string& name : free) {
    const auto state = engine_.Inspect(executor::ContainerId(name), kLook);
    const bool ended = state.ok() ? state->status != executor::ContainerStatus::kRunning
                                  : absl::IsNotFound(state.status());
    if (!ended) continue;
    const std::lock_guard lock(mu_);
    const auto it = namespaces_.find(name);
    if (it != namespaces_.end() && !it->second.user) GiveUp(it);
  }
}

void NetworkKeeper::Work() {
  std::unique_lock lock(mu_);
  MonoTime look_at = clock_.Mono() + options_.interval;
  for (;;) {
    const MonoTime now = clock_.Mono();
    if (stop_by_ && (orders_.empty() || now >= *stop_by_)) return;
    GiveUpIdle(now);
    if (now >= look_at && !stop_by_) {
      look_at = now + options_.interval;
      lock.unlock();
      GiveUpDead();
      lock.lock();
      continue;
    }
    const auto next = NextOrder(now);
    if (next == orders_.end()) {
      // While it stops, also for what is tried again.
      changed_.wait_for(lock, stop_by_ ? std::min<Duration>(kStopLook, *stop_by_ - now)
                                       : std::min<Duration>(options_.idle_for, look_at - now));
      continue;
    }
    const Order order = std::move(*next);
    orders_.erase(next);
    const auto it = namespaces_.find(order.name);
    const Kind kind = it == namespaces_.end() ? Kind() : it->second.kind;
    lock.unlock();
    bool done = true;
    if (order.image.empty()) {
      done = engine_.Remove(executor::ContainerId(order.name), true, options_.engine_timeout).ok();
    } else {
      Make(order, kind);
    }
    lock.lock();
    // An Engine that is being restarted, or has not got rid of the container's mounts.
    if (!done) orders_.push_back({order.name, "", clock_.Mono() + (stop_by_ ? kStopLook : kPause)});
  }
}

void NetworkKeeper::Make(const Order& order, const Kind& kind) {
  const auto created =
      engine_.Create(HolderOf(options_, kind, order.name, order.image), options_.engine_timeout);
  absl::Status made = created.status();
  if (made.ok() && Stopping()) made = absl::CancelledError("the agent is being stopped");
  if (made.ok()) made = engine_.Start(created->id, options_.engine_timeout);
  if (!made.ok()) {
    log::Warn("network_not_kept", {{"name", order.name}, {"why", Describe(made)}});
    if (created.ok()) (void)engine_.Remove(created->id, true, options_.engine_timeout);
  }
  const std::lock_guard lock(mu_);
  const auto it = namespaces_.find(order.name);
  if (it == namespaces_.end()) return;
  if (made.ok()) {
    it->second.id = created->id;
    it->second.free_since = clock_.Mono();
    if (stop_by_) GiveUp(it);
  } else {
    namespaces_.erase(it);
  }
}

}  // namespace slipway::networks
