#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "controller/api/task_service.h"
#include "controller/scheduler/explain.h"
#include "slipway/v1/task.pb.h"

namespace slipway::api {

// Why a task is where it is, as clients see it; of tasks ahead of it those that the caller sees.
// kNotFound; kUnavailable, reason RELOADING. Reads the database.
[[nodiscard]] absl::StatusOr<v1::ExplainTaskResponse> ExplainTask(const Deps& deps,
                                                                  const access::Caller& caller,
                                                                  const TaskId& id);

// The answer without its tasks: agents, deadlines, counts. Pure.
[[nodiscard]] v1::ExplainTaskResponse ToProto(const scheduler::Explanation& why);

}  // namespace slipway::api
