#pragma once

#include <string>

#include "common/protocol/messages.h"

namespace slipway::sim {

// One line about a message, for the story of a seed.
[[nodiscard]] std::string Describe(const protocol::AgentMessage& message);
[[nodiscard]] std::string Describe(const protocol::ControllerMessage& message);

}  // namespace slipway::sim
