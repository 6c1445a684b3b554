#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/executor/container_engine.h"
#include "agent/executor/path_map.h"

namespace slipway::docker {

struct DockerOptions {
  // "/var/run/docker.sock" or "unix:///var/run/docker.sock", as DOCKER_HOST has it.
  std::string socket = "/var/run/docker.sock";
  std::vector<executor::PathMapping> engine_path_map = {};
  // Whether a ContainerSpec may ask for the host's network.
  bool allow_host_network = false;
  // Longest answer that is read; a listing takes about 2 KiB per container.
  std::size_t max_response_bytes = 16 << 20;
  // Connections kept open between calls; more are made while more calls are under way.
  std::size_t max_idle_connections = 4;
};

// The Docker Engine (20.10 or newer) through its HTTP API on a Unix socket. Connects at the first
// call and again whenever needed, so it may be made before the Engine runs and outlive its
// restarts. kInvalidArgument: the socket's address is not of a Unix socket.
[[nodiscard]] absl::StatusOr<std::unique_ptr<executor::ContainerEngine>> MakeDockerEngine(
    DockerOptions options);

}  // namespace slipway::docker
