#pragma once

#include <boost/json.hpp>
#include <string>

#include "controller/domain/channel.h"

namespace slipway::store::pg {

// A channel as the column `channel` of table targets has it. What does not parse throws.
[[nodiscard]] std::string ChannelToJson(const domain::Channel& channel);
[[nodiscard]] domain::Channel ChannelFromJson(const std::string& text);

// How a run's packages are made, as the column `packaging` of table runs has it: {} for the usual
// ones. What does not parse throws.
[[nodiscard]] boost::json::object PackagingToJson(const domain::Packaging& packaging);
[[nodiscard]] domain::Packaging PackagingFromJson(const std::string& text);

}  // namespace slipway::store::pg
