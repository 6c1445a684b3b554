#pragma once

#include <vector>

#include "absl/status/status.h"
#include "agent/health/disk_policy.h"

namespace slipway::health {

// One kind of thing that the agent keeps only to be faster, or has left behind. Thread-safe.
class CacheSource {
 public:
  virtual ~CacheSource() = default;
  // What could be deleted now: nothing that is in use, and nothing that is not the agent's own.
  [[nodiscard]] virtual std::vector<Cache> List() = 0;
  // An error when it is used again meanwhile. The room may take a moment to appear.
  [[nodiscard]] virtual absl::Status Delete(const Cache& cache) = 0;
};

}  // namespace slipway::health
