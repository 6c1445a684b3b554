#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/cli/bench/mock_agent.h"
#include "controller/cli/client.h"
#include "controller/cli/client_options.h"

namespace slipway::bench {

// Joins the farm as `count` agents named PREFIX-1, PREFIX-2, …, several at a time. The client's
// token must be an admin's. After an error those that joined are in the farm: Dismiss them. Blocks.
[[nodiscard]] absl::StatusOr<std::vector<MockIdentity>> Enroll(const cli::Client& client,
                                                               const cli::Access& options,
                                                               const std::string& prefix,
                                                               int count);

// Throws the agents named PREFIX-1 … PREFIX-`count` out of the farm; those that never joined are
// passed over.
[[nodiscard]] absl::Status Dismiss(const cli::Client& client, const std::string& prefix, int count);

}  // namespace slipway::bench
