#pragma once

#include <string>
#include <vector>

#include "controller/cli/session.h"

namespace slipway::bench {

// slipway-bench: the whole program but main. Gives the exit code (controller/cli/exit_code.h).
[[nodiscard]] int RunProgram(const std::vector<std::string>& arguments,
                             cli::Surroundings& surroundings);

}  // namespace slipway::bench
