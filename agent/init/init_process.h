#pragma once

#include <string>

namespace slipway::init {

// Process 1 from its first instruction to its exit status (docs/init.md). REQUIRES: one thread, no
// descriptor above 2.
int RunInit(const std::string& control_path);

}  // namespace slipway::init
