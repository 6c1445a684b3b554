#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/access/access.h"
#include "controller/api/submit_call.h"
#include "controller/api/task_service.h"
#include "controller/domain/task.h"
#include "slipway/v1/submit.pb.h"

// What a run asked for, asked again.
namespace slipway::api {

// Submits that together do a run, or what failed of it, once more.
struct Again {
  // What is built, with what is handed over of it; by the target that it goes to.
  std::vector<v1::SubmitRunRequest> builds;
  // What goes out without a build; `product` names its build.
  std::vector<v1::PublishProductRequest> products;
};

// `tasks`: all of the run's. Empty: there is nothing to do. Pure.
[[nodiscard]] Again AgainOf(const domain::Run& run, const std::vector<domain::Task>& tasks,
                            const domain::Targets& targets, bool only_failed,
                            const std::string& request_id);

// The runs of a SubmitAgain. kNotFound; kFailedPrecondition, reason NOTHING_FAILED;
// kInvalidArgument.
[[nodiscard]] absl::StatusOr<std::vector<Expander>> PlanAgain(
    const Deps& deps, const access::Caller& caller, const v1::SubmitAgainRequest& request);

}  // namespace slipway::api
