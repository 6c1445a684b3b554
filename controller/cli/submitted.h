#pragma once

#include "controller/cli/commands.h"
#include "controller/cli/follow.h"
#include "slipway/v1/task.pb.h"

namespace slipway::cli {

// Prints a run that was submitted and, if wanted, follows it to its end, which the exit code tells.
[[nodiscard]] Outcome TellSubmitted(Session& session, const Client& client,
                                    const v1::SubmitRunResponse& response, bool follow,
                                    const RetryOptions& retry);

using SubmittedRuns = google::protobuf::RepeatedPtrField<v1::SubmittedRun>;
// The same for several, one after the other. `labels`: what each is called; empty: nothing. The
// exit code is that of the one that most needs a person.
[[nodiscard]] Outcome TellAll(Session& session, const Client& client, const SubmittedRuns& runs,
                              const std::vector<std::string>& labels, bool follow,
                              const RetryOptions& retry);

}  // namespace slipway::cli
