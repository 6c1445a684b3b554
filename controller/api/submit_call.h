#pragma once

#include <grpcpp/grpcpp.h>

#include "controller/api/task_service.h"
#include "slipway/v1/task.grpc.pb.h"

// Submits wait for a commit, which many share; so none of them holds a thread while it waits.
namespace slipway::api {

// Answers SubmitRun. The reactor deletes itself.
[[nodiscard]] grpc::ServerUnaryReactor* NewSubmitCall(grpc::CallbackServerContext& context,
                                                      const Deps& deps,
                                                      const v1::SubmitRunRequest& request,
                                                      v1::SubmitRunResponse& response);
// Answers SubmitRuns. The reactor deletes itself.
[[nodiscard]] grpc::ServerUnaryReactor* NewSubmitManyCall(grpc::CallbackServerContext& context,
                                                          const Deps& deps,
                                                          const v1::SubmitRunsRequest& request,
                                                          v1::SubmitRunsResponse& response);

}  // namespace slipway::api
