#pragma once

#include "absl/status/statusor.h"
#include "common/protocol/platform_code.h"
#include "slipway/v1/common.pb.h"

// Codes of platforms to and from their message, by the rules of convert.h.
namespace slipway::rpc {

v1::PlatformCode ToProto(const protocol::PlatformCode& code);
absl::StatusOr<protocol::PlatformCode> FromProto(const v1::PlatformCode& code);

}  // namespace slipway::rpc
