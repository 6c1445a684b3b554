#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/caches/cache_limits.h"
#include "agent/executor/path_map.h"
#include "agent/health/disk_policy.h"
#include "agent/images/image_reference.h"
#include "common/base/time.h"
#include "common/project/project_config.h"

namespace slipway::agent {

// Everything an operator may decide about one agent: <data_dir>/config.yaml or --config, then
// flags. docs/configuration.md lists the keys.
struct Options {
  std::string data_dir;
  // Mirrors, work trees and trash; empty: <data_dir>/work.
  std::string work_dir;
  // Attempts at once.
  std::uint32_t slots = 2;
  // What tasks may require of the agent, beside arch, os and executor, which it knows itself.
  std::map<std::string, std::string> labels;
  // Name to expect in the controller's certificate; empty: as joined.
  std::string server_name;
  std::string log_level = "info";

  std::string docker_socket = "/var/run/docker.sock";
  std::string network = "slipway";
  std::string subnet;  // empty: the Engine chooses
  bool allow_host_network = false;
  // Network namespaces kept for the next builds; nullopt: as many as slots; 0: none.
  std::optional<std::uint32_t> kept_networks;
  // Containers started ahead of the next builds; nullopt: as many as slots; 0: none.
  std::optional<std::uint32_t> warm_containers;
  std::vector<executor::PathMapping> path_map;
  images::PullRules pull;
  Duration pull_timeout = std::chrono::minutes(30);

  // Empty: slipway-init beside this program.
  std::string init_binary;
  // CA certificates for containers and git; empty: none. Left out when the default is not there.
  std::string ca_bundle = "/etc/ssl/certs/ca-certificates.crt";
  bool ca_bundle_chosen = false;

  project::ResourceLimits max_limits = {
      .cpus = 64, .memory = std::int64_t{64} << 30, .pids = 4096, .disk = std::int64_t{64} << 30};
  std::int64_t log_budget_bytes = std::int64_t{256} << 20;
  health::DiskLimits disk;
  // What builds leave to the next ones; of one cache as many copies as slots.
  bool caches_enabled = true;
  caches::CacheLimits caches;
  // Between two looks at disks and Engine; for one answer of the Engine to them.
  Duration health_interval = std::chrono::seconds(10);
  Duration engine_patience = std::chrono::seconds(15);

  bool git_allow_file = false;
  bool git_allow_http = false;
  Duration git_fetch_timeout = std::chrono::minutes(10);
  // Added to git's environment: proxies, GIT_SSH_COMMAND.
  std::map<std::string, std::string> git_environment;
};

// Reads the file into `options`. kInvalidArgument: file, line and key of every mistake. A missing
// file is an error only when `required`.
[[nodiscard]] absl::Status LoadOptions(const std::string& path, bool required, Options& options);

}  // namespace slipway::agent
