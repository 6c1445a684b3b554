#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/strong_type.h"

namespace slipway::executor {

// The Engine's name of a container: 64 hex digits.
using ContainerId = StrongType<struct ContainerIdTag, std::string>;
using Labels = std::map<std::string, std::string>;

struct BindMount {
  // As the agent sees it; the engine translates it when the agent lives in a container itself.
  // Must exist when the container is created: a missing one is an error, never made.
  std::string host_path;
  std::string container_path;
  bool read_only = false;
};

struct TmpfsMount {
  std::string container_path;
  std::int64_t size_bytes = 0;  // 0: half of the machine's memory; counts against memory_bytes
  std::uint32_t mode = 0700;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool nosuid = true;
  bool nodev = true;
  bool noexec = true;
};

enum class NetworkKind {
  kNone,       // loopback only
  kBridge,     // Network::name, made by ContainerEngine::EnsureNetwork
  kContainer,  // shares the network namespace of the running container Network::name; saves most of
               // the start time, and is right only inside one trust domain
  kHost,       // refused unless the operator opted in
};

struct Network {
  NetworkKind kind = NetworkKind::kNone;
  std::string name;
};

// Everything a container is made from. What is not here cannot be chosen: every container drops all
// capabilities but cap_add, has no-new-privileges, a private IPC namespace, no swap beyond its
// memory, no core files, no health check or restart of its image, and a small json-file log that
// holds only what PID 1 itself prints.
struct ContainerSpec {
  // [A-Za-z0-9][A-Za-z0-9_.-]{1,127}, unique on the machine: a second Create of the same name is
  // refused, which makes a repeated one harmless.
  std::string name;
  // A reference known to the Engine; it is never pulled.
  std::string image;
  // Must hold kLabelFarm and kLabelAgent, or the reaper could never find the container again.
  Labels labels;

  // Replaces the image's entrypoint and command alike. argv[0] is looked up inside the container.
  std::vector<std::string> argv;
  std::vector<std::string> env;  // "NAME=value"; added to the image's
  std::string user;              // "uid:gid", numeric; empty: the image's
  std::string working_dir;       // empty: the image's
  std::string hostname;          // empty: the Engine chooses

  std::vector<BindMount> binds;
  std::vector<TmpfsMount> tmpfs;
  bool read_only_rootfs = false;

  Network network;
  std::map<std::string, std::string> extra_hosts;  // host name → address; not with kContainer

  double cpus = 0;                // 0: no limit; more than the machine has is refused
  std::int64_t memory_bytes = 0;  // 0: no limit; swap is never added to it
  std::int64_t pids_limit = 0;    // 0: no limit
  std::int64_t shm_bytes = 0;     // 0: the Engine's 64 MiB
  // Open files, soft and hard; 0: the Engine's. An Engine that is confined itself cannot start a
  // container that is given more than it has.
  std::int64_t nofile = 16384;
  std::vector<std::string> cap_add;  // without "CAP_": "SETUID"

  // -1000…1000. Above the agent's own, so that a machine out of memory loses a build, not the
  // agent.
  int oom_score_adj = 500;
  // What a person's `docker stop` grants before it kills.
  int stop_timeout_seconds = 10;
};

// kInvalidArgument names the first field that no engine may accept: a name or image that could
// become another path of the Engine's API, a path that is not absolute and plain, a missing label.
[[nodiscard]] absl::Status Validate(const ContainerSpec& spec);

// kInvalidArgument unless `name` is made of the characters of an image reference.
[[nodiscard]] absl::Status ValidateImageName(const std::string& name);

// kInvalidArgument unless `name` can be that of a container or network, or an id.
[[nodiscard]] absl::Status ValidateResourceName(const std::string& name);

}  // namespace slipway::executor
