#pragma once

#include <google/protobuf/repeated_field.h>

#include <vector>

#include "absl/status/status.h"
#include "controller/access/access.h"
#include "controller/api/task_service.h"
#include "controller/domain/task.h"
#include "controller/domain/task_actions.h"
#include "slipway/v1/action.pb.h"
#include "slipway/v1/release.pb.h"
#include "slipway/v1/task.pb.h"

// Says in answers what their reader may do with the objects in them.
namespace slipway::api {

// A task and its answer, which becomes its allowed_actions.
struct ShownTask {
  const domain::Task* task;
  v1::Task* shown;
};

// Asks the database at most twice, however many tasks there are: for rights, unless they are
// remembered, and for how publishes were resolved. Enters no refusal into the audit trail.
[[nodiscard]] absl::Status AddActions(const Deps& deps, const access::Caller& caller,
                                      const std::vector<ShownTask>& tasks);

// Of products that the caller sees. Seeing a product is all that these ask for.
void AddActions(v1::Release& release);
void AddActions(v1::Archived& archived);

void AddTo(google::protobuf::RepeatedPtrField<v1::ObjectAction>& field,
           const std::vector<domain::AllowedAction>& actions);

}  // namespace slipway::api
