#pragma once

#include <string>

#include "controller/domain/channel.h"

namespace slipway::store::pg {

// A channel as the column `channel` of table targets has it. What does not parse throws.
[[nodiscard]] std::string ChannelToJson(const domain::Channel& channel);
[[nodiscard]] domain::Channel ChannelFromJson(const std::string& text);

}  // namespace slipway::store::pg
