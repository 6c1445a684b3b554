#pragma once

#include <stop_token>
#include <string>

#include "absl/status/statusor.h"

namespace slipway::cli {

// True when this process has a terminal with a person at it, wherever its streams go.
[[nodiscard]] bool HasTerminal();

// Writes `question` to the process's terminal and reads a line from it, which is not shown when
// `secret`. The terminal is afterwards as it was, however this ends. kInterrupted when `stop` is
// requested; kInvalidArgument: the person closed the input. Blocks.
[[nodiscard]] absl::StatusOr<std::string> AskOnTerminal(const std::string& question, bool secret,
                                                        const std::stop_token& stop);

}  // namespace slipway::cli
