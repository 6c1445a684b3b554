#pragma once

#include <string>
#include <vector>

#include "controller/cli/session.h"

namespace slipway::cli {

// The whole program: reads `arguments` (without the program's name), runs the command they name and
// gives the exit code (exit_code.h). Blocks.
[[nodiscard]] int RunProgram(const std::vector<std::string>& arguments, Surroundings& surroundings);

}  // namespace slipway::cli
