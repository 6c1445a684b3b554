#pragma once

#include <grpcpp/grpcpp.h>

#include "controller/api/task_service.h"
#include "controller/catalog/version_reader.h"
#include "slipway/v1/overview.grpc.pb.h"

// Reading a repository takes seconds, so nobody holds a thread while a caller waits for it.
namespace slipway::api {

// Answers ListVersions. The reactor deletes itself. `deps` and `versions` must outlive it.
[[nodiscard]] grpc::ServerUnaryReactor* NewVersionsCall(grpc::CallbackServerContext& context,
                                                        const Deps& deps,
                                                        catalog::VersionReader& versions,
                                                        const v1::ListVersionsRequest& request,
                                                        v1::ListVersionsResponse& response);

}  // namespace slipway::api
