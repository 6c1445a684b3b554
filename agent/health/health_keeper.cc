#include "agent/health/health_keeper.h"

#include <algorithm>
#include <set>
#include <utility>

#include "agent/health/file_systems.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::health {
namespace {

using protocol::DiskState;
using protocol::EngineState;

// Deleting runs at the lowest priority; what is not gone by then is measured as it is.
constexpr Duration kSettle = std::chrono::seconds(60);
// Deleted in one round; the next look goes on.
constexpr int kMostAtOnce = 64;

const char* Name(DiskState state) {
  if (state == DiskState::kFull) return "full";
  return state == DiskState::kPressure ? "pressure" : "ok";
}
const char* Name(EngineState state) {
  if (state == EngineState::kHung) return "hung";
  return state == EngineState::kDown ? "down" : "ok";
}

}  // namespace

HealthKeeper::HealthKeeper(KeeperOptions options, KeeperParts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      engine_(options_.engine_was_well ? EngineState::kOk : EngineState::kDown, clock_.Wall()) {}

HealthKeeper::~HealthKeeper() { Stop(); }

void HealthKeeper::Start() {
  disk_thread_ = std::jthread([this](const std::stop_token& stop) { WatchDisks(stop); });
  engine_thread_ = std::jthread([this](const std::stop_token& stop) { WatchEngine(stop); });
}

void HealthKeeper::Stop() {
  disk_thread_.request_stop();
  engine_thread_.request_stop();
}

bool HealthKeeper::Pause(const std::stop_token& stop) {
  std::unique_lock lock(mu_);
  changed_.wait_for(lock, stop, options_.interval, [] { return false; });
  return !stop.stop_requested();
}

void HealthKeeper::Report() {
  protocol::AgentHealth health;
  {
    const std::lock_guard lock(mu_);
    for (const auto& [device, disk] : disks_) health.disks.push_back(disk);
    health.engine = engine_.health();
  }
  health.starts = parts_.starts();
  parts_.report(std::move(health));
}

void HealthKeeper::WatchDisks(const std::stop_token& stop) {
  do {
    if (LookAtDisks()) MakeRoom(stop);
  } while (Pause(stop));
}

bool HealthKeeper::LookAtDisks() {
  std::vector<std::string> paths = options_.paths;
  {
    const std::lock_guard lock(mu_);
    if (!engine_root_.empty()) paths.push_back(engine_root_);
  }
  const std::vector<FileSystem> measured = MeasureFileSystems(paths);
  bool tight = false;
  {
    const std::lock_guard lock(mu_);
    std::map<std::uint64_t, protocol::DiskHealth> disks;
    for (const FileSystem& fs : measured) {
      const auto known = disks_.find(fs.device);
      const DiskState before = known == disks_.end() ? DiskState::kOk : known->second.state;
      const DiskState now = JudgeDisk(before, fs.space, options_.limits);
      if (now != before) {
        log::Warn("disk", {{"path", fs.path},
                           {"state", Name(now)},
                           {"free_bytes", std::to_string(fs.space.free_bytes)},
                           {"free_inodes", std::to_string(fs.space.free_inodes)}});
      }
      tight = tight || now != DiskState::kOk;
      disks[fs.device] = {.path = fs.path,
                          .state = now,
                          .free_bytes = fs.space.free_bytes,
                          .total_bytes = fs.space.total_bytes,
                          .free_inodes = fs.space.free_inodes,
                          .total_inodes = fs.space.total_inodes};
    }
    disks_ = std::move(disks);
  }
  Report();
  return tight;
}

void HealthKeeper::MakeRoom(const std::stop_token& stop) {
  std::set<std::string> stubborn;
  for (int deleted = 0; deleted < kMostAtOnce && !stop.stop_requested(); ++deleted) {
    std::set<std::uint64_t> tight;
    {
      const std::lock_guard lock(mu_);
      for (const auto& [device, disk] : disks_) {
        if (disk.state != DiskState::kOk) tight.insert(device);
      }
    }
    std::vector<Cache> caches;
    std::vector<CacheSource*> sources;
    for (CacheSource* source : parts_.caches) {
      for (Cache& cache : source->List()) {
        if (!tight.contains(DeviceOf(cache.path)) || stubborn.contains(cache.name)) continue;
        caches.push_back(std::move(cache));
        sources.push_back(source);
      }
    }
    const Cache* next = NextToDelete(caches);
    if (next == nullptr) return;
    CacheSource& source = *sources[static_cast<std::size_t>(next - caches.data())];
    if (const absl::Status done = source.Delete(*next); !done.ok()) {
      stubborn.insert(next->name);
      continue;
    }
    log::Info("cache_deleted", {{"kind", CacheKindName(next->kind)}, {"name", next->name}});
    parts_.settle(kSettle);
    if (!LookAtDisks()) return;
  }
}

void HealthKeeper::WatchEngine(const std::stop_token& stop) {
  do {
    const absl::StatusOr<executor::EngineInfo> info = parts_.engine.Ping(options_.engine_timeout);
    if (stop.stop_requested()) return;
    bool back = false;
    {
      const std::lock_guard lock(mu_);
      if (info.ok() && options_.engine_is_local) engine_root_ = info->root_dir;
      if (engine_.OnPing(info.status(), clock_.Wall())) {
        back = engine_.health().state == EngineState::kOk;
        log::Warn("engine_health",
                  {{"state", Name(engine_.health().state)}, {"why", engine_.health().words}});
      }
    }
    Report();
    if (back) parts_.engine_is_back();
  } while (Pause(stop));
}

}  // namespace slipway::health
