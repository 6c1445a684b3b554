#pragma once

#include <grpcpp/grpcpp.h>

#include "controller/api/task_service.h"
#include "slipway/v1/task.pb.h"

namespace slipway::api {

// Serve one WatchRun or ReadLog call each. The reactors keep themselves alive until gRPC is done.
grpc::ServerWriteReactor<v1::WatchRunResponse>* NewRunFollower(grpc::CallbackServerContext& context,
                                                               const Deps& deps,
                                                               const v1::WatchRunRequest& request);
// Request and responses as in log_message.h.
grpc::ServerWriteReactor<grpc::ByteBuffer>* NewLogFollower(grpc::CallbackServerContext& context,
                                                           const Deps& deps,
                                                           const grpc::ByteBuffer& request);

}  // namespace slipway::api
