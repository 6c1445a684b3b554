#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace slipway::git {

enum class TextLines { kOne, kMany };

// What a repository calls text, as people may be shown it: at most `max` bytes of valid UTF-8 in
// which nothing acts on its reader. Bytes that are no UTF-8, control characters and those that
// reorder or hide their neighbours (bidirectional marks, zero width) are each a '?'. kMany keeps
// line ends and tabs. Pure.
[[nodiscard]] std::string CleanText(std::string_view bytes, std::size_t max,
                                    TextLines lines = TextLines::kOne);

}  // namespace slipway::git
