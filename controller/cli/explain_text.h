#pragma once

#include <string>

#include "controller/cli/render.h"
#include "slipway/v1/task.pb.h"

// Why a task waits, as people read it. Pure functions.
namespace slipway::cli {

// Why it waits, to go behind "waits:": "the agents that fit: 2 busy, 1 offline"; empty: it does
// not.
[[nodiscard]] std::string WaitText(const v1::ExplainTaskResponse& why, Text t);

// Everything, with a table of the agents; ends with a newline.
[[nodiscard]] std::string RenderExplanation(const v1::ExplainTaskResponse& why, const View& view);

}  // namespace slipway::cli
