#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace slipway::gateway {

// RFC 1952, at the fastest level. Thread-safe.
[[nodiscard]] std::string Gzip(std::string_view bytes);

// One gzip member and nothing behind it. Never holds more than `max_bytes` and a little:
// kResourceExhausted beyond that. kInvalidArgument: damaged or cut off. Thread-safe.
[[nodiscard]] absl::StatusOr<std::string> Gunzip(std::string_view bytes, std::size_t max_bytes);

}  // namespace slipway::gateway
