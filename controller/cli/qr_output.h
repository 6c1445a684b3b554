#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace slipway::cli {

enum class QrStyle { kBlocks, kAscii };

// The code of `text` as lines for a terminal.
[[nodiscard]] absl::StatusOr<std::string> RenderQr(std::string_view text, QrStyle style);

}  // namespace slipway::cli
