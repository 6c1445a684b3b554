#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "controller/api/submit.h"
#include "controller/api/task_service.h"
#include "controller/store/run_reader.h"
#include "slipway/v1/submit.pb.h"
#include "slipway/v1/task.pb.h"

// Products that are handed over without a build, once more or for the first time.
namespace slipway::api {

// The run of a request: tasks that hand the product of `build` over. kInvalidArgument names the
// field; kFailedPrecondition, reason NO_TARGET, REQUIREMENTS_CONFLICT or NO_CREDENTIAL. REQUIRES:
// the build has a product. Pure but for ids.
[[nodiscard]] absl::StatusOr<Expanded> ExpandProduct(const v1::PublishProductRequest& request,
                                                     const store::TaskWithRun& build,
                                                     const domain::Application& application,
                                                     const domain::Account& account,
                                                     const domain::Targets& targets, WallTime now);

// Answers PublishProduct. The reactor deletes itself.
[[nodiscard]] grpc::ServerUnaryReactor* NewPublishProductCall(
    grpc::CallbackServerContext& context, const Deps& deps,
    const v1::PublishProductRequest& request, v1::SubmitRunResponse& response);

// Answers SubmitAgain. The reactor deletes itself.
[[nodiscard]] grpc::ServerUnaryReactor* NewSubmitAgainCall(grpc::CallbackServerContext& context,
                                                           const Deps& deps,
                                                           const v1::SubmitAgainRequest& request,
                                                           v1::SubmitAgainResponse& response);

}  // namespace slipway::api
