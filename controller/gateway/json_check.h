#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace slipway::gateway {

struct JsonLimits {
  // Objects and arrays inside each other.
  std::size_t max_depth = 64;
};

// Ok when `text` is one JSON value as RFC 8259 has it, in UTF-8, without a key that appears twice
// in one object. Protobuf's own parser is lenient in all of this, so it only gets what passed here.
// kInvalidArgument says what is wrong and at which byte. An object has at most 10,000 members.
// Thread-safe.
[[nodiscard]] absl::Status CheckJson(std::string_view text, const JsonLimits& limits = {});

}  // namespace slipway::gateway
