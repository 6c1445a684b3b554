#pragma once

#include "controller/cli/commands.h"
#include "controller/cli/follow.h"
#include "slipway/v1/task.pb.h"

namespace slipway::cli {

// Prints a run that was submitted and, if wanted, follows it to its end, which the exit code tells.
[[nodiscard]] Outcome TellSubmitted(Session& session, const Client& client,
                                    const v1::SubmitRunResponse& response, bool follow,
                                    const RetryOptions& retry);

}  // namespace slipway::cli
