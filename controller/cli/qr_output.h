#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "controller/cli/style.h"

namespace slipway::cli {

enum class QrShape { kBlocks, kAscii };

// The code of `text` as lines for a terminal. Blocks are black on white where `style` has colours,
// and without any escape sequence where it has none.
[[nodiscard]] absl::StatusOr<std::string> RenderQr(std::string_view text, QrShape shape,
                                                   const Style& style);

}  // namespace slipway::cli
