#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/domain/account.h"
#include "controller/domain/application.h"
#include "controller/domain/target.h"
#include "controller/domain/task.h"
#include "slipway/v1/task.pb.h"

namespace slipway::api {

struct Expanded {
  domain::Run run;
  std::vector<domain::Task> tasks;
};

// The run of a request and its tasks: per platform a build and, when asked for, the publish or
// preview that waits for it. kInvalidArgument names the field; kFailedPrecondition, reason
// NO_TARGET or REQUIREMENTS_CONFLICT. Pure but for ids.
absl::StatusOr<Expanded> Expand(const v1::SubmitRunRequest& request,
                                const domain::Application& application,
                                const domain::Account& account, const domain::Targets& targets,
                                WallTime now);

}  // namespace slipway::api
