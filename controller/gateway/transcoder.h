#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "controller/gateway/connect.h"
#include "controller/gateway/method_table.h"

namespace slipway::gateway {

// A request in either codec as the bytes gRPC takes. JSON: unknown fields are left out, so that an
// older controller takes what a newer client says. kInvalidArgument: not this message. Thread-safe.
[[nodiscard]] absl::StatusOr<std::string> RequestBytes(const Method& method, Codec codec,
                                                       std::string message);

// What gRPC gave, in the codec. kInternal: it is not the message it should be. Thread-safe.
[[nodiscard]] absl::StatusOr<std::string> ResponseText(const Method& method, Codec codec,
                                                       std::string bytes);

// A message of any type of the program as JSON; empty: the type is not known or the bytes are not
// of it. Thread-safe.
[[nodiscard]] std::string DebugJson(const std::string& type, const std::string& bytes);

}  // namespace slipway::gateway
