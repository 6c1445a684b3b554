#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/domain/target.h"
#include "slipway/v1/catalog.pb.h"
#include "slipway/v1/channel.pb.h"

namespace slipway::api {

// REQUIRES: domain::IsChannelPlatform(platform). kInvalidArgument names the field.
[[nodiscard]] absl::StatusOr<domain::Channel> ChannelFrom(const std::string& platform,
                                                          const v1::Channel& channel);

// Of a channel. Without `all`, what those who publish there may see.
[[nodiscard]] v1::Channel ToProto(const domain::Target& target, bool all);

// What a channel of this platform can prove itself with; channel.proto says what it is. "":
// nothing. kInvalidArgument.
[[nodiscard]] absl::Status CheckChannelSecret(const std::string& platform,
                                              const std::string& secret);

// What a submit says of its channels, checked: whom the channel may reach, whether it reaches
// anybody. kInvalidArgument names the field; kFailedPrecondition, reason NO_RECIPIENT.
struct RequestedChannel {
  const domain::Target* target = nullptr;
  std::vector<std::string> recipients{};
};
[[nodiscard]] absl::StatusOr<RequestedChannel> RequestedChannelFrom(const v1::ChannelUse& use,
                                                                    const domain::Targets& targets);

}  // namespace slipway::api
