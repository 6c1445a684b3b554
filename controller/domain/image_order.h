#pragma once

#include <cstdint>
#include <string>

#include "common/base/ids.h"
#include "common/base/time.h"

namespace slipway::domain {

// An image that agents should have ready before a task needs it. One for each image and agent; an
// agent's own and one for all agents are two.
struct ImageOrder {
  std::string image;
  AgentId agent;  // empty: every agent, also those that join later
  // Rises with every request over the whole farm: a report about a lower one is about the past.
  std::uint64_t number = 0;
  std::string requested_by;
  WallTime requested_at;

  friend bool operator==(const ImageOrder&, const ImageOrder&) = default;
};

}  // namespace slipway::domain
