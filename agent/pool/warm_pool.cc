#include "agent/pool/warm_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "agent/executor/labels.h"
#include "common/base/ids.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::pool {
namespace {

using namespace std::chrono_literals;

constexpr auto kConnectPatience = 15s;
// For the question whether one that waits is alive: a new one takes no longer.
constexpr auto kLook = 300ms;
// Before a removal that failed is tried again.
constexpr auto kRemovePause = 10s;
constexpr auto kStopLook = 200ms;
// What one that waits may cost beside the process that the Engine keeps for it, and what the pool
// leaves to the builds.
constexpr std::int64_t kMemoryOfOne = std::int64_t{64} << 20;
constexpr std::int64_t kMemoryLeft = std::int64_t{512} << 20;

absl::Status MakeDirectory(const std::string& path, mode_t mode) {
  return mkdir(path.c_str(), mode) == 0 ? absl::OkStatus() : ErrnoError(errno, path);
}

// Empties the directory, or makes it.
absl::Status MakeEmpty(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (!error) std::filesystem::create_directories(path, error);
  if (error) return ErrnoError(error.value(), path);
  return chmod(path.c_str(), 0700) == 0 ? absl::OkStatus() : ErrnoError(errno, path);
}

// Which is how an attempt moves in.
bool CanExchange(const std::string& directory) {
  const std::string a = directory + "/a";
  const std::string b = directory + "/b";
  const bool can = mkdir(a.c_str(), 0700) == 0 && mkdir(b.c_str(), 0700) == 0 &&
                   renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0;
  (void)rmdir(a.c_str());
  (void)rmdir(b.c_str());
  return can;
}

void RemoveDirectories(const StallPaths& paths) {
  std::error_code error;
  std::filesystem::remove_all(paths.dir, error);
  std::filesystem::remove_all(paths.tree, error);
  std::filesystem::remove_all(paths.caches, error);
}

}  // namespace

std::optional<std::int64_t> AvailableMemory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::int64_t kib = 0;
  std::string unit;
  while (file >> name >> kib) {
    std::getline(file, unit);
    if (name == "MemAvailable:") return kib * 1024;
  }
  return std::nullopt;
}

absl::StatusOr<std::unique_ptr<WarmPool>> WarmPool::Create(PoolOptions options,
                                                           executor::ContainerEngine& engine) {
  for (const std::string& parent : {options.data_dir, options.work_dir}) {
    SLIPWAY_RETURN_IF_ERROR(MakeEmpty(parent + "/warm"));
    if (options.capacity > 0 && !CanExchange(parent + "/warm")) {
      log::Warn("no_warm_containers",
                {{"why", "the file system cannot exchange two directories"}, {"dir", parent}});
      options.capacity = 0;
    }
  }
  SLIPWAY_RETURN_IF_ERROR(MakeEmpty(options.work_dir + "/warm-caches"));
  return std::unique_ptr<WarmPool>(new WarmPool(std::move(options), engine));
}

WarmPool::WarmPool(PoolOptions options, executor::ContainerEngine& engine)
    : options_(std::move(options)), engine_(engine), demand_(options_.demand) {}

WarmPool::~WarmPool() {
  (void)Stop(Duration::zero());
  if (worker_.joinable()) worker_.join();
}

void WarmPool::Start() {
  if (options_.capacity == 0) return;
  working_ = true;
  worker_ = std::thread([this] {
    Work();
    const std::lock_guard lock(mu_);
    working_ = false;
    changed_.notify_all();
  });
}

bool WarmPool::Stop(Duration patience) {
  std::unique_lock lock(mu_);
  if (!stop_by_) stop_by_ = clock_.Mono() + patience;
  remove_after_ = {};
  std::move(ready_.begin(), ready_.end(), std::back_inserter(unwanted_));
  ready_.clear();
  changed_.notify_all();
  return changed_.wait_for(lock, patience, [this] { return !working_; });
}

void WarmPool::Suspend(bool suspended) {
  {
    const std::lock_guard lock(mu_);
    if (suspended_ == suspended) return;
    suspended_ = suspended;
  }
  changed_.notify_all();
}

std::optional<Stall> WarmPool::Take(const Kind& kind) {
  if (options_.capacity == 0) return std::nullopt;
  {
    const std::lock_guard lock(mu_);
    if (stop_by_) return std::nullopt;
    latest_wish_ = clock_.Mono();
    if (!first_wish_) first_wish_ = latest_wish_;
    demand_.Wish(kind, latest_wish_);
    ++misses_;
  }
  changed_.notify_all();
  for (;;) {
    std::optional<Stall> stall;
    {
      const std::lock_guard lock(mu_);
      const auto it = std::find_if(ready_.begin(), ready_.end(),
                                   [&](const Stall& one) { return one.kind == kind; });
      if (it == ready_.end()) return std::nullopt;
      stall = std::move(*it);
      ready_.erase(it);
      taken_.insert(stall->container);
    }
    // Somebody may have stopped it just now.
    const absl::Status alive = stall->init->GetStatus(clock_.Mono() + kLook);
    if (alive.ok()) {
      const std::lock_guard lock(mu_);
      --misses_;
      ++hits_;
      return stall;
    }
    const bool busy = absl::IsDeadlineExceeded(alive) && !stall->late;
    if (!busy) {
      GiveUp(*std::move(stall));
      continue;
    }
    // The machine's fault rather than its own: the others would take as long.
    stall->late = true;
    const std::lock_guard lock(mu_);
    taken_.erase(stall->container);
    (stop_by_ ? unwanted_.emplace_back(*std::move(stall)) : ready_.emplace_back(*std::move(stall)));
    return std::nullopt;
  }
}

void WarmPool::GiveUp(Stall stall) {
  {
    const std::lock_guard lock(mu_);
    unwanted_.push_back(std::move(stall));
  }
  changed_.notify_all();
}

void WarmPool::Name(const executor::ContainerId& container, std::string name) {
  {
    const std::lock_guard lock(mu_);
    if (!working_) return;
    names_.push_back({container, std::move(name), clock_.Mono() + options_.name_after});
  }
  changed_.notify_all();
}

void WarmPool::Gone(const executor::ContainerId& container) {
  const std::lock_guard lock(mu_);
  taken_.erase(container);
  std::erase_if(names_, [&](const Naming& naming) { return naming.container == container; });
}

std::set<executor::ContainerId> WarmPool::Held() const {
  const std::lock_guard lock(mu_);
  std::set<executor::ContainerId> held = taken_;
  for (const Stall& stall : ready_) held.insert(stall.container);
  if (!at_hand_.value().empty()) held.insert(at_hand_);
  return held;
}

WarmPool::Counts WarmPool::counts() const {
  const std::lock_guard lock(mu_);
  return {.hits = hits_, .misses = misses_, .ready = ready_.size()};
}

std::size_t WarmPool::Room() const {
  if (!options_.available_memory) return options_.capacity;
  const std::optional<std::int64_t> available = options_.available_memory();
  if (!available) return options_.capacity;
  // Those that are there have had their share.
  const std::int64_t more = std::max<std::int64_t>(*available - kMemoryLeft, 0) / kMemoryOfOne;
  return std::min(options_.capacity, ready_.size() + static_cast<std::size_t>(more));
}

WarmPool::Order WarmPool::NextOrder(MonoTime now) {
  Order order;
  if (!unwanted_.empty() && now >= remove_after_) {
    order.give_up = std::move(unwanted_.front());
    unwanted_.pop_front();
    return order;
  }
  if (stop_by_) return order;
  // The Engine may have been restarted.
  const auto dead = std::find_if(ready_.begin(), ready_.end(), [&](const Stall& stall) {
    return !absl::IsDeadlineExceeded(stall.init->WaitEvent(now).status());
  });
  if (dead != ready_.end()) {
    order.give_up = std::move(*dead);
    ready_.erase(dead);
    return order;
  }
  const std::vector<Demand::Target> targets = demand_.Targets(suspended_ ? 0 : Room(), now);
  std::map<Kind, std::size_t> missing;
  for (const Demand::Target& target : targets) missing[target.kind] = target.ready;
  const auto surplus = std::find_if(ready_.begin(), ready_.end(), [&](const Stall& stall) {
    std::size_t& wanted = missing[stall.kind];
    if (wanted == 0) return true;
    --wanted;
    return false;
  });
  if (surplus != ready_.end()) {
    order.give_up = std::move(*surplus);
    ready_.erase(surplus);
    return order;
  }
  for (const Demand::Target& target : targets) {
    if (order.make || missing[target.kind] == 0) continue;
    order.make = target.kind;
  }
  return order;
}

void WarmPool::Work() {
  std::unique_lock lock(mu_);
  for (;;) {
    const MonoTime now = clock_.Mono();
    if (stop_by_ && (unwanted_.empty() || now >= *stop_by_)) return;
    if (!names_.empty() && now >= names_.front().after) {
      const Naming naming = std::move(names_.front());
      names_.pop_front();
      lock.unlock();
      // One that has ended by now needs none.
      (void)engine_.Rename(naming.container, naming.name, options_.engine_timeout);
      lock.lock();
      continue;
    }
    const MonoTime next_name = names_.empty() ? MonoTime::max() : names_.front().after;
    const bool in_a_hurry = !unwanted_.empty() || stop_by_;
    if (first_wish_ && !in_a_hurry) {
      const MonoTime quiet =
          std::min(latest_wish_ + options_.quiet, *first_wish_ + options_.longest_wait);
      if (now < quiet) {
        changed_.wait_for(lock, std::min(quiet, next_name) - now);
        continue;
      }
      first_wish_.reset();
    }
    Order order = NextOrder(now);
    if (order.give_up) {
      at_hand_ = order.give_up->container;
      lock.unlock();
      Remove(*std::move(order.give_up));
      lock.lock();
      at_hand_ = {};
    } else if (order.make) {
      lock.unlock();
      absl::StatusOr<Stall> made = Make(*order.make);
      lock.lock();
      at_hand_ = {};
      if (made.ok() && stop_by_) {
        unwanted_.push_back(*std::move(made));
      } else if (made.ok()) {
        ready_.push_back(*std::move(made));
      } else {
        // The next build of this kind asks again; what another kind needs may well be there.
        demand_.Forget(*order.make);
        log::Warn("warm_container_not_made", {{"why", Describe(made.status())}});
      }
    } else {
      const Duration rest = unwanted_.empty() ? options_.interval : remove_after_ - now;
      changed_.wait_for(lock, std::min({rest, options_.interval, next_name - now}));
    }
  }
}

StallPaths WarmPool::PathsOf(const std::string& id) const {
  const std::string dir = fmt::format("{}/warm/{}", options_.data_dir, id);
  return {.dir = dir,
          .control = dir + "/control",
          .out = dir + "/out",
          .home = dir + "/home",
          .tree = fmt::format("{}/warm/{}", options_.work_dir, id),
          .caches = fmt::format("{}/warm-caches/{}", options_.work_dir, id)};
}

absl::StatusOr<Stall> WarmPool::Make(const Kind& kind) {
  const std::string id = NewId("").substr(0, 10);
  const StallPaths paths = PathsOf(id);
  absl::Cleanup clear = [&] { RemoveDirectories(paths); };
  SLIPWAY_RETURN_IF_ERROR(MakeDirectory(paths.dir, 0700));
  SLIPWAY_RETURN_IF_ERROR(MakeDirectory(paths.caches, 0755));
  for (const std::string& path : {paths.out, paths.home, paths.tree}) {
    SLIPWAY_RETURN_IF_ERROR(MakeDirectory(path, 0755));
    if (geteuid() == 0 && lchown(path.c_str(), options_.step_uid, options_.step_gid) != 0) {
      return ErrnoError(errno, path);
    }
  }
  SLIPWAY_ASSIGN_OR_RETURN(initlink::ControlDir control,
                           initlink::ControlDir::PrepareWaiting(paths.dir));
  executor::ContainerSpec spec = options_.spec(kind, paths);
  spec.name = fmt::format("slipway-{}-warm-{}", options_.owner.agent.value(), id);
  spec.labels = {{executor::kLabelFarm, options_.owner.farm.value()},
                 {executor::kLabelAgent, options_.owner.agent.value()},
                 {executor::kLabelKind, "warm"}};
  const absl::StatusOr<executor::CreatedContainer> created =
      engine_.Create(spec, options_.engine_timeout);
  if (!created.ok()) {
    // It may have been made all the same.
    (void)engine_.Remove(executor::ContainerId(spec.name), true, options_.engine_timeout);
    return created.status();
  }
  std::move(clear).Cancel();
  bool wanted = true;
  {
    const std::lock_guard lock(mu_);
    at_hand_ = created->id;
    wanted = !stop_by_;
  }
  Stall stall{.kind = kind,
              .container = created->id,
              .paths = paths,
              .control = std::move(control),
              .init = nullptr,
              .warnings = created->warnings};
  absl::Status started = wanted ? engine_.Start(created->id, options_.engine_timeout)
                                : absl::CancelledError("the pool is being stopped");
  if (started.ok()) {
    auto init = initlink::InitClient::Connect(stall.control, clock_.Mono() + kConnectPatience);
    started = init.status();
    if (init.ok()) stall.init = *std::move(init);
  }
  if (!started.ok()) {
    Remove(std::move(stall));
    return started;
  }
  return stall;
}

void WarmPool::Remove(Stall stall) {
  const absl::Status removed =
      engine_.Remove(stall.container, /*force=*/true, options_.engine_timeout);
  if (removed.ok()) {
    Gone(stall.container);
    RemoveDirectories(stall.paths);
    return;
  }
  const std::lock_guard lock(mu_);
  unwanted_.push_back(std::move(stall));
  remove_after_ = clock_.Mono() + (stop_by_ ? Duration(kStopLook) : Duration(kRemovePause));
}

}  // namespace slipway::pool
