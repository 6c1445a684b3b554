#pragma once

#include <cstdint>
#include <string>

#include "agent/executor/reaper.h"
#include "common/base/time.h"
#include "common/project/project_config.h"

namespace slipway::runner {

struct RunnerOptions {
  executor::Owner owner;
  // Attempts live in <data_dir>/attempts, work trees and products in <work_dir>/run. Both absolute.
  std::string data_dir;
  std::string work_dir;
  // slipway-init as the Engine's machine sees it.
  std::string init_binary;
  // Bridge network that was ensured at the start.
  std::string network = "slipway";
  // CA certificates that containers are to trust; empty: those of their image.
  std::string host_ca_bundle;
  // No build gets more, whatever its slipway.yaml says.
  project::ResourceLimits max_limits = {
      .cpus = 64, .memory = std::int64_t{64} << 30, .pids = 4096, .disk = std::int64_t{64} << 30};
  // Log bytes of one attempt that the controller does not have yet; then its build waits.
  std::uint64_t log_budget_bytes = std::uint64_t{256} << 20;
  // A build is ended when less than this is free where it works: bytes, and percent of the file
  // system, whichever is less.
  std::int64_t disk_floor_bytes = std::int64_t{1} << 30;
  int disk_floor_percent = 5;
  // User and group of scripts and clients.
  std::uint32_t step_uid = 1000;
  std::uint32_t step_gid = 1000;
  // Between TERM and KILL of a step that is ended.
  Duration term_grace = std::chrono::seconds(10);
  // slipway-init ends a step at its time limit. When it does not react, which is so long after, the
  // agent ends the container.
  Duration overdue = std::chrono::minutes(1);
  // For the controller's word on the result of a build whose script has ended by itself, before its
  // container is removed all the same; and for that removal, which is tried again.
  Duration linger = std::chrono::seconds(2);
  Duration linger_timeout = std::chrono::seconds(10);
  // One call of the Engine.
  Duration engine_timeout = std::chrono::seconds(60);
};

}  // namespace slipway::runner
