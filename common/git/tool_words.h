#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

// What a tool said itself travels beside a status, so that people can read it verbatim.
namespace slipway::git {

// Adds the verbatim words of a tool; of more than 4 KiB the last ones.
[[nodiscard]] absl::Status WithToolWords(absl::Status status, std::string_view words);

// Empty: none were added.
[[nodiscard]] std::string ToolWordsOf(const absl::Status& status);

}  // namespace slipway::git
