#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "agent/runner/task_spec.h"

namespace slipway::link {

// A serialised slipway.v1.TaskSpec, which the core passes through unread. kInvalidArgument names
// what is wrong with it.
[[nodiscard]] absl::StatusOr<runner::TaskSpec> ParseTaskSpec(std::string_view bytes);

}  // namespace slipway::link
