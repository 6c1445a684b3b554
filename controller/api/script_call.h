#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/access/access.h"
#include "controller/api/submit.h"
#include "controller/api/submit_call.h"
#include "controller/api/task_service.h"
#include "slipway/v1/submit.pb.h"
#include "slipway/v1/task.pb.h"

// Scripts that people bring, and what is submitted after them.
namespace slipway::api {

// The run of a request: one task. kInvalidArgument names the field; kFailedPrecondition, reason
// REQUIREMENTS_CONFLICT. Pure but for ids.
[[nodiscard]] absl::StatusOr<Expanded> ExpandScript(const v1::RunScriptRequest& request,
                                                    const domain::Application& application,
                                                    const domain::Account& account, WallTime now);

// What a RunScriptRequest, which outlives it, asks for. kResourceExhausted (QUEUE_FULL): too many
// are on their way into the store.
[[nodiscard]] Expander ScriptExpander(const Deps& deps, const v1::RunScriptRequest& request);

// Answers RunScript. The reactor deletes itself.
[[nodiscard]] grpc::ServerUnaryReactor* NewScriptCall(grpc::CallbackServerContext& context,
                                                      const Deps& deps,
                                                      const v1::RunScriptRequest& request,
                                                      v1::SubmitRunResponse& response);

// When `request` names a script to come after: `run` is of the commit that it ran against.
// kNotFound: the caller sees no such task. kFailedPrecondition, reason SCRIPT_NOT_PASSED.
[[nodiscard]] absl::Status TakeScriptsWord(const Deps& deps, const access::Caller& caller,
                                           const v1::SubmitRunRequest& request, domain::Run& run);

}  // namespace slipway::api
