#pragma once

#include <string>
#include <vector>

#include "controller/cli/session.h"

namespace slipway::cli {

using ProgramFunction = int(const std::vector<std::string>& arguments, Surroundings& surroundings);

// main() of a command line program: `program` with this process's arguments, streams and
// environment; SIGINT and SIGTERM request a stop. Call it before there is any other thread. Gives
// the exit status.
[[nodiscard]] int RunAsProcess(const char* name, int argc, char** argv, ProgramFunction& program);

}  // namespace slipway::cli
