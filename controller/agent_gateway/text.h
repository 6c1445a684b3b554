#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace slipway::agent_gateway {

// The text as any store takes it: valid UTF-8, no NUL, at most `max_bytes` long. What does not fit
// is replaced by U+FFFD or cut off at a character's end.
[[nodiscard]] std::string StorableText(std::string_view text, std::size_t max_bytes);

}  // namespace slipway::agent_gateway
