#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"

// Limits of texts in messages. Private to this library.
namespace slipway::rpc {

inline constexpr std::size_t kMaxText = 1024;

// kInvalidArgument, MALFORMED_MESSAGE.
[[nodiscard]] absl::Status Bad(std::string_view field, std::string_view why);
[[nodiscard]] absl::Status CheckLength(std::string_view field, const std::string& text,
                                       std::size_t limit);

// Valid UTF-8, cut at the limit without leaving half a character.
[[nodiscard]] std::string Cut(std::string_view text, std::size_t limit = kMaxText);

}  // namespace slipway::rpc
