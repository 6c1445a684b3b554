#pragma once

#include "absl/status/statusor.h"
#include "common/protocol/attempt_result.h"
#include "slipway/v1/common.pb.h"

// What builds hand over to and from their message, by the rules of convert.h.
namespace slipway::rpc {

v1::BuildOutcome ToProto(const protocol::BuildOutcome& build);
absl::StatusOr<protocol::BuildOutcome> FromProto(const v1::BuildOutcome& build);

}  // namespace slipway::rpc
