#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "agent/app.h"
#include "agent/cache_sources.h"
#include "agent/executor/docker/docker_engine.h"
#include "agent/link/artifact_rpc.h"
#include "agent/link/credential_rpc.h"
#include "agent/link/image_rpc.h"
#include "agent/link/task_spec_bytes.h"
#include "agent/runner/failures.h"
#include "common/git/trash.h"
#include "common/log/log.h"
#include "common/status/status.h"

// What the agent works with, each made of its options.
namespace slipway::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFirstPing = 10s;
constexpr Duration kReapInterval = 5min;

bool IsReadable(const std::string& path) { return access(path.c_str(), R_OK) == 0; }

}  // namespace

absl::Status App::OpenEngine(bool may_wait) {
  docker::DockerOptions docker;
  docker.socket = options_.docker_socket;
  docker.engine_path_map = options_.path_map;
  docker.allow_host_network = options_.allow_host_network;
  SLIPWAY_ASSIGN_OR_RETURN(engine_, docker::MakeDockerEngine(std::move(docker)));
  const absl::StatusOr<executor::EngineInfo> info = engine_->Ping(kFirstPing);
  engine_answers_ = info.ok();
  if (!info.ok()) {
    const bool passing =
        absl::IsUnavailable(info.status()) || absl::IsDeadlineExceeded(info.status());
    if (!may_wait || !passing) return info.status();
    log::Warn("engine_awaited", {{"why", Describe(info.status())}});
    engine_cpus_ = static_cast<int>(std::thread::hardware_concurrency());
    return absl::OkStatus();
  }
  engine_cpus_ = info->cpus;
  if (options_.path_map.empty()) engine_root_ = info->root_dir;
  SLIPWAY_RETURN_IF_ERROR(OpenNetwork());
  log::Info("engine", {{"version", info->version},
                       {"api", info->api_version},
                       {"cgroup", std::to_string(info->cgroup_version)},
                       {"storage", info->storage_driver}});
  return absl::OkStatus();
}

absl::Status App::OpenNetwork() {
  return engine_
      ->EnsureNetwork(
          {.name = options_.network, .farm = identity_.farm.value(), .subnet = options_.subnet},
          kEngineTimeout)
      .status();
}

absl::Status App::OpenImages() {
  SLIPWAY_ASSIGN_OR_RETURN(
      images_,
      images::ImageKeeper::Create(
          {.rules = options_.pull,
           .record_path = options_.data_dir + "/images",
           .engine_timeout = kEngineTimeout,
           .pull_timeout = options_.pull_timeout},
          {.engine = *engine_, .explain = runner::FailureOf, .report = [this](auto reports) {
             Post(ImagesChanged{std::move(reports)});
           }}));
  return absl::OkStatus();
}

void App::OpenHealth() {
  caches_ = MakeCacheSources(
      {.mirrors = *mirrors_,
       .trees = *trees_,
       .caches = *build_caches_,
       .images = *images_,
       .engine = *engine_,
       .data_dir = options_.data_dir,
       .engine_root = [this] { return engine_answers_ ? engine_root_ : std::string(); },
       .held =
           [this] {
             std::set<std::string> names;
             for (const AttemptKey& key : runner_->Held()) names.insert(runner::DirectoryName(key));
             return names;
           }});
  health::KeeperParts parts{
      .engine = *engine_,
      .caches = {},
      .settle = [this](Duration timeout) { (void)mirrors_->trash().WaitUntilEmpty(timeout); },
      .report =
          [this](protocol::AgentHealth health) {
            engine_answers_ = health.engine.state == protocol::EngineState::kOk;
            pool_->Suspend(std::any_of(health.disks.begin(), health.disks.end(),
                                       [](const protocol::DiskHealth& disk) {
                                         return disk.state != protocol::DiskState::kOk;
                                       }));
            Post(HealthChanged{std::move(health)});
            if (const MonoTime now = clock_.Mono(); engine_answers_ && now >= reap_at_) {
              if (reap_at_ != MonoTime()) ReapLeftOvers();
              reap_at_ = now + kReapInterval;
            }
          },
      .engine_is_back =
          [this] {
            if (const absl::Status made = OpenNetwork(); !made.ok()) {
              log::Warn("network", {{"why", Describe(made)}});
            }
            ReapLeftOvers();
          },
      .starts =
          [this] {
            const pool::WarmPool::Counts warm = pool_->counts();
            const networks::NetworkKeeper::Counts kept = networks_->counts();
            return protocol::StartCounts{.warm = warm.hits,
                                         .kept_network = kept.hits,
                                         .cold = kept.misses,
                                         .waiting = static_cast<std::uint32_t>(warm.ready)};
          }};
  for (const auto& cache : caches_) parts.caches.push_back(cache.get());
  health_ = std::make_unique<health::HealthKeeper>(
      health::KeeperOptions{.limits = options_.disk,
                            .paths = {options_.data_dir, options_.work_dir},
                            .engine_is_local = options_.path_map.empty(),
                            .engine_was_well = engine_answers_,
                            .interval = options_.health_interval,
                            .engine_timeout = options_.engine_patience},
      std::move(parts));
}

absl::Status App::OpenWorkspace() {
  if (options_.work_dir.empty()) options_.work_dir = options_.data_dir + "/work";
  if (!options_.ca_bundle.empty() && !IsReadable(options_.ca_bundle)) {
    if (options_.ca_bundle_chosen) {
      return MakeError(absl::StatusCode::kInvalidArgument, "",
                       fmt::format("ca_bundle: {} cannot be read", options_.ca_bundle),
                       "Name a file of PEM certificates, or leave it out.");
    }
    options_.ca_bundle.clear();
  }
  git::MirrorOptions mirrors;
  mirrors.work_dir = options_.work_dir;
  if (options_.git_allow_file) mirrors.allowed_schemes.insert("file");
  if (options_.git_allow_http) mirrors.allowed_schemes.insert("http");
  mirrors.fetch_timeout = options_.git_fetch_timeout;
  mirrors.environment = options_.git_environment;
  if (!options_.ca_bundle.empty())
    mirrors.environment.emplace("GIT_SSL_CAINFO", options_.ca_bundle);
  SLIPWAY_ASSIGN_OR_RETURN(mirrors_, git::MirrorCache::Create(std::move(mirrors)));
  SLIPWAY_ASSIGN_OR_RETURN(trees_, workspace::WorkTrees::Create(*mirrors_, {}));
  caches::CacheLimits limits = options_.caches;
  limits.max_copies = options_.slots;
  SLIPWAY_ASSIGN_OR_RETURN(build_caches_,
                           caches::CacheStore::Create({.work_dir = options_.work_dir,
                                                       .farm = identity_.farm,
                                                       .enabled = options_.caches_enabled,
                                                       .limits = limits},
                                                      mirrors_->trash()));
  return absl::OkStatus();
}

absl::Status App::OpenRunner(const std::string& init_binary) {
  runner::RunnerOptions options;
  options.owner = {.farm = identity_.farm, .agent = identity_.agent};
  options.data_dir = options_.data_dir;
  options.work_dir = options_.work_dir;
  options.init_binary = init_binary;
  options.network = options_.network;
  options.host_ca_bundle = options_.ca_bundle;
  options.max_limits = options_.max_limits;
  options.log_budget_bytes = static_cast<std::uint64_t>(options_.log_budget_bytes);
  // What runs goes on below the floor, which no new work is taken at, but not into a full disk.
  options.disk_floor_bytes = options_.disk.floor.bytes / 2;
  options.disk_floor_percent = (options_.disk.floor.percent + 1) / 2;
  options.engine_timeout = kEngineTimeout;
  networks_ = std::make_unique<networks::NetworkKeeper>(
      networks::KeeperOptions{.owner = options.owner,
                              .init_binary = init_binary,
                              .bridge = options_.network,
                              .capacity = options_.kept_networks.value_or(options_.slots),
                              .engine_timeout = kEngineTimeout},
      *engine_);
  pool::PoolOptions pool;
  pool.owner = options.owner;
  pool.data_dir = options.data_dir;
  pool.work_dir = options.work_dir;
  pool.step_uid = options.step_uid;
  pool.step_gid = options.step_gid;
  pool.spec = [options](const pool::Kind& kind, const pool::StallPaths& paths) {
    return runner::WarmContainer(options, kind, paths);
  };
  pool.capacity = options_.warm_containers.value_or(options_.slots);
  pool.engine_timeout = kEngineTimeout;
  // Of another machine it would say nothing.
  if (options_.path_map.empty()) pool.available_memory = pool::AvailableMemory;
  SLIPWAY_ASSIGN_OR_RETURN(pool_, pool::WarmPool::Create(std::move(pool), *engine_));
  const link::ChannelSource channel = [this] { return channels_->Bulk(); };
  SLIPWAY_ASSIGN_OR_RETURN(
      runner_,
      runner::Runner::Create(
          std::move(options),
          {.engine = *engine_,
           .engine_cpus = engine_cpus_,
           .ensure_image =
               [this](const std::string& image, const std::function<void()>& pulling,
                      const std::stop_token& stop) {
                 return images_->Ensure(image, pulling, stop);
               },
           .make_image =
               [this](const std::string& image, const auto& make, const std::stop_token& stop) {
                 return images_->EnsureMade(image, make, stop);
               },
           .find_image =
               [channel](const AttemptKey& key, const std::string& name) {
                 return link::FindPreparedImage(channel, key, name);
               },
           .share_image =
               [channel](const AttemptKey& key, const std::string& name,
                         const Sha256Digest& manifest) {
                 return link::SharePreparedImage(channel, key, name, manifest);
               },
           .networks = *networks_,
           .pool = *pool_,
           .mirrors = *mirrors_,
           .trees = *trees_,
           .caches = *build_caches_,
           .parse_spec = link::ParseTaskSpec,
           .repository_credential =
               [channel](const AttemptKey& key, const std::string& repository) {
                 return link::FetchRepositoryCredential(channel, key, repository);
               },
           .make_sink =
               [channel](const AttemptKey& key) { return link::MakeArtifactSink(channel, key); },
           .make_source =
               [channel](const AttemptKey& key) { return link::MakeArtifactSource(channel, key); },
           .post = [this](Event event) { Post(std::move(event)); }}));
  return absl::OkStatus();
}

}  // namespace slipway::agent
