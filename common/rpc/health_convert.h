#pragma once

#include "absl/status/statusor.h"
#include "common/protocol/health.h"
#include "slipway/v1/agent_health.pb.h"

// Health and images of agents to and from their messages, by the rules of convert.h.
namespace slipway::rpc {

v1::AgentHealth ToProto(const protocol::AgentHealth& health);
absl::StatusOr<protocol::AgentHealth> FromProto(const v1::AgentHealth& health);

v1::ImageReport ToProto(const protocol::ImageReport& report);
absl::StatusOr<protocol::ImageReport> FromProto(const v1::ImageReport& report);

v1::ImageOrder ToProto(const protocol::ImageOrder& order);
absl::StatusOr<protocol::ImageOrder> FromProto(const v1::ImageOrder& order);

}  // namespace slipway::rpc
