#pragma once

#include <string>
#include <string_view>

namespace slipway::rpc {

// `text` with each byte that is not part of valid UTF-8 replaced by U+FFFD, and NUL bytes too
// (protobuf `string` fields and PostgreSQL text refuse them). Valid text comes back unchanged.
[[nodiscard]] std::string ValidUtf8(std::string_view text);

}  // namespace slipway::rpc
