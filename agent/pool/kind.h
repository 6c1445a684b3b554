#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "agent/executor/container_spec.h"

namespace slipway::pool {

// What cannot be changed of a container once it exists, or only dearly.
struct Kind {
  std::string image_id;  // "sha256:…": a name may stand for another image tomorrow
  double cpus = 0;
  std::int64_t memory_bytes = 0;
  std::int64_t pids = 0;
  executor::NetworkKind network = executor::NetworkKind::kNone;

  friend auto operator<=>(const Kind&, const Kind&) = default;
};

}  // namespace slipway::pool
