#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/protocol/attempt_result.h"

// Results as bytes for places that must not know protobuf: files of the agent.
namespace slipway::rpc {

// A serialised slipway.v1.AttemptResult.
[[nodiscard]] std::string EncodeResult(const protocol::AttemptResult& result);
// kInvalidArgument: not such bytes.
[[nodiscard]] absl::StatusOr<protocol::AttemptResult> DecodeResult(std::string_view bytes);

}  // namespace slipway::rpc
