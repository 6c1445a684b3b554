#pragma once

#include <grpcpp/grpcpp.h>

#include "controller/api/task_service.h"
#include "controller/catalog/version_reader.h"
#include "controller/store/repository_credential_store.h"
#include "slipway/v1/overview.grpc.pb.h"

// Reading a repository takes seconds, so nobody holds a thread while a caller waits for it.
namespace slipway::api {

// Answers ListVersions. The reactor deletes itself. `deps`, `versions` and `credentials` must
// outlive it.
[[nodiscard]] grpc::ServerUnaryReactor* NewVersionsCall(
    grpc::CallbackServerContext& context, const Deps& deps, catalog::VersionReader& versions,
    store::RepositoryCredentialStore& credentials, const v1::ListVersionsRequest& request,
    v1::ListVersionsResponse& response);

}  // namespace slipway::api
