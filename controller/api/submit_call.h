#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <vector>

#include "controller/access/access.h"
#include "controller/api/submit.h"
#include "controller/api/task_service.h"
#include "slipway/v1/task.grpc.pb.h"

// Submits wait for a commit, which many share; so none of them holds a thread while it waits.
namespace slipway::api {

// Makes the run that a request asks for, with what the caller may see of the catalog. Its errors
// are those of the call.
using Expander = std::function<absl::StatusOr<Expanded>(
    const access::Caller& caller, const domain::Targets& targets, WallTime now)>;

// What a SubmitRunRequest asks for.
[[nodiscard]] Expander ExpanderOf(const Deps& deps, v1::SubmitRunRequest request);
// The runs of a request, for who has a good token; its error is that of the whole call. Blocks.
using Plan = std::function<absl::StatusOr<std::vector<Expander>>(const access::Caller& caller)>;

// Answers a request for several runs: one that is refused keeps no other back. The reactor deletes
// itself.
[[nodiscard]] grpc::ServerUnaryReactor* NewPlannedCall(
    grpc::CallbackServerContext& context, const Deps& deps, Plan plan,
    google::protobuf::RepeatedPtrField<v1::SubmittedRun>& runs);
// Answers a request for one run. The reactor deletes itself.
[[nodiscard]] grpc::ServerUnaryReactor* NewExpandedCall(grpc::CallbackServerContext& context,
                                                        const Deps& deps, Expander expand,
                                                        v1::SubmitRunResponse& response);

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
