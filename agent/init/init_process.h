#pragma once

#include <string>

namespace slipway::init {

// Process 1 from its first instruction to its exit status (docs/init.md). `waits`: the log comes
// into the control directory later, and OpenLog tells. REQUIRES: one thread, no descriptor above 2.
int RunInit(const std::string& control_path, bool waits);

}  // namespace slipway::init
