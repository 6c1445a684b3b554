#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace slipway::workspace {

// What a build script may say about itself in the JSON file it is given: an object with any of
// these keys, strings all of them; other keys are ignored. Empty means "not said".
struct ScriptResult {
  // Name of the version that was built. At most 128 bytes, no control characters.
  std::string version;
  // Text for the QR code of the product. At most 2,048 bytes, no control characters.
  std::string qr;
  // Why the build failed, for people. Cut at 4,096 bytes.
  std::string error;
};

inline constexpr std::size_t kMaxScriptResultBytes = 64 * 1024;

// `json` is hostile. An empty text is an empty result. kInvalidArgument, reason
// SCRIPT_RESULT_INVALID: not an object, too large, wrong type or a string above its bound; the
// failure class is build. Pure function.
[[nodiscard]] absl::StatusOr<ScriptResult> ParseScriptResult(std::string_view json);

}  // namespace slipway::workspace
