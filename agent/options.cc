#include "agent/options.h"

#include <utility>

#include "common/config/document.h"

namespace slipway::agent {
namespace {

constexpr std::int64_t kMaxBytes = std::int64_t{1} << 50;

void ReadDocker(config::Section docker, Options& options) {
  options.docker_socket = docker.GetString("socket", options.docker_socket);
  options.network = docker.GetString("network", options.network);
  options.subnet = docker.GetString("subnet", options.subnet);
  options.allow_host_network = docker.GetBool("allow_host_network", options.allow_host_network);
  if (docker.Has("kept_networks")) {
    options.kept_networks = static_cast<std::uint32_t>(docker.GetInt("kept_networks", 0, 0, 256));
  }
  if (docker.Has("warm_containers")) {
    options.warm_containers =
        static_cast<std::uint32_t>(docker.GetInt("warm_containers", 0, 0, 256));
  }
  const std::string pull = docker.GetOneOf("pull", {"named", "never", "any"}, "named");
  options.pull.policy = pull == "never" ? images::PullPolicy::kNever
                        : pull == "any" ? images::PullPolicy::kAny
                                        : images::PullPolicy::kNamed;
  options.pull.registries = docker.GetStrings("registries");
  options.pull_timeout = docker.GetDuration("pull_timeout", options.pull_timeout,
                                            std::chrono::seconds(1), std::chrono::hours(24));
  for (config::Section& mapping : docker.GetSections("engine_path_map")) {
    options.path_map.push_back({.agent_path = mapping.RequireString("agent"),
                                .engine_path = mapping.RequireString("engine")});
  }
}

void ReadLimits(config::Section section, Options& options) {
  project::ResourceLimits& limits = options.max_limits;
  limits.cpus = section.GetDouble("cpus", limits.cpus, 0.1, 1024);
  limits.memory = section.GetSize("memory", limits.memory, std::int64_t{16} << 20, kMaxBytes);
  limits.pids = section.GetInt("pids", limits.pids, 8, 1 << 20);
  limits.disk = section.GetSize("disk", limits.disk, std::int64_t{1} << 20, kMaxBytes);
}

void ReadThreshold(config::Section section, health::Threshold& threshold) {
  threshold.bytes = section.GetSize("bytes", threshold.bytes, 0, kMaxBytes);
  threshold.percent = static_cast<int>(section.GetInt("percent", threshold.percent, 0, 90));
}

void ReadCaches(config::Section& root, Options& options) {
  if (!root.IsMap("caches")) {
    options.caches_enabled = root.GetOneOf("caches", {"on", "off"}, "on") == "on";
    return;
  }
  auto section = root.FindSection("caches");
  caches::CacheLimits& limits = options.caches;
  limits.max_bytes =
      section->GetSize("max_size", limits.max_bytes, std::int64_t{1} << 20, kMaxBytes);
  limits.max_bytes_per_application =
      section->GetSize("max_size_per_application", limits.max_bytes_per_application,
                       std::int64_t{1} << 20, kMaxBytes);
}

void ReadHealth(config::Section section, Options& options) {
  options.health_interval = section.GetDuration(
      "interval", options.health_interval, std::chrono::milliseconds(100), std::chrono::hours(1));
  options.engine_patience =
      section.GetDuration("engine_patience", options.engine_patience,
                          std::chrono::milliseconds(100), std::chrono::hours(1));
}

void ReadGit(config::Section git, Options& options) {
  options.git_allow_file = git.GetBool("allow_file", options.git_allow_file);
  options.git_allow_http = git.GetBool("allow_http", options.git_allow_http);
  options.git_fetch_timeout = git.GetDuration("fetch_timeout", options.git_fetch_timeout,
                                              std::chrono::seconds(1), std::chrono::hours(24));
  options.git_environment = git.GetStringMap("environment");
}

}  // namespace

absl::Status LoadOptions(const std::string& path, bool required, Options& options) {
  absl::StatusOr<config::Document> document = config::Document::Load(path);
  if (!document.ok()) {
    const bool absent = document.status().code() == absl::StatusCode::kNotFound;
    return absent && !required ? absl::OkStatus() : document.status();
  }
  config::Section root = document->Root();
  options.work_dir = root.GetString("work_dir", options.work_dir);
  options.slots = static_cast<std::uint32_t>(root.GetInt("slots", options.slots, 1, 256));
  options.labels = root.GetStringMap("labels");
  options.server_name = root.GetString("server_name", options.server_name);
  options.log_level =
      root.GetOneOf("log_level", {"debug", "info", "warn", "error"}, options.log_level);
  options.init_binary = root.GetString("init_binary", options.init_binary);
  options.ca_bundle_chosen = root.Has("ca_bundle");
  options.ca_bundle = root.GetString("ca_bundle", options.ca_bundle);
  options.log_budget_bytes =
      root.GetSize("log_budget", options.log_budget_bytes, std::int64_t{1} << 20, kMaxBytes);
  if (auto docker = root.FindSection("docker")) ReadDocker(*std::move(docker), options);
  if (auto limits = root.FindSection("max_limits")) ReadLimits(*std::move(limits), options);
  if (auto git = root.FindSection("git")) ReadGit(*std::move(git), options);
  if (auto floor = root.FindSection("disk_floor")) {
    ReadThreshold(*std::move(floor), options.disk.floor);
  }
  if (auto pressure = root.FindSection("disk_pressure")) {
    ReadThreshold(*std::move(pressure), options.disk.pressure);
  }
  ReadCaches(root, options);
  if (auto health = root.FindSection("health")) ReadHealth(*std::move(health), options);
  return document->Finish();
}

}  // namespace slipway::agent
