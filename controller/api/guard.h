#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/api/task_service.h"
#include "controller/domain/task_actions.h"
#include "controller/store/viewer.h"

// What a caller may see and do of runs, tasks and applications. What it does not see is answered
// like what is not there.
namespace slipway::api {

// kNotFound NO_SUCH_APPLICATION; kPermissionDenied when it is visible and `operation` is not held.
[[nodiscard]] absl::StatusOr<domain::Application> FindApplication(
    const Deps& deps, const access::Caller& caller, const std::string& name,
    domain::Operation operation = domain::Operation::kView);
// kNotFound NO_SUCH_TASK, NO_SUCH_RUN.
[[nodiscard]] absl::StatusOr<store::TaskWithRun> FindTask(const Deps& deps,
                                                          const access::Caller& caller,
                                                          const TaskId& id);
[[nodiscard]] absl::StatusOr<domain::Run> FindRun(const Deps& deps, const access::Caller& caller,
                                                  const RunId& id);
// kPermissionDenied with the verdict's reason. REQUIRES: the caller sees the task.
[[nodiscard]] absl::Status CheckMayAct(const Deps& deps, const access::Caller& caller,
                                       const domain::Question& question);

// Whether the caller still sees the application, or is still an admin: what streams rest on.
[[nodiscard]] StreamRights::Check SeesStill(const Deps& deps, const access::Caller& caller,
                                            const ApplicationId& application);
[[nodiscard]] StreamRights::Check IsAdminStill(const Deps& deps, const access::Caller& caller);

[[nodiscard]] store::Viewer ViewerOf(const access::Caller& caller);

}  // namespace slipway::api
