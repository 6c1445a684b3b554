#pragma once

#include <grpcpp/grpcpp.h>

#include <vector>

#include "controller/api/overview.h"
#include "controller/api/task_service.h"
#include "controller/catalog/version_reader.h"
#include "controller/store/repository_credential_store.h"
#include "slipway/v1/overview.grpc.pb.h"

namespace slipway::api {

// What there is to choose from. Thread-safe.
class OverviewService final
    : public v1::OverviewService::WithCallbackMethod_ListVersions<v1::OverviewService::Service> {
 public:
  // `versions` and `credentials` must outlive it.
  OverviewService(const Deps& deps, catalog::VersionReader& versions,
                  store::RepositoryCredentialStore& credentials, FarmId farm)
      : deps_(deps), versions_(versions), credentials_(credentials), farm_(std::move(farm)) {}

  grpc::ServerUnaryReactor* ListVersions(grpc::CallbackServerContext* context,
                                         const v1::ListVersionsRequest* request,
                                         v1::ListVersionsResponse* response) override;
  grpc::Status GetOverview(grpc::ServerContext* context, const v1::GetOverviewRequest* request,
                           v1::Overview* response) override;

 private:
  absl::Status DoOverview(grpc::ServerContext& context, const v1::GetOverviewRequest& request,
                          v1::Overview& response);
  // A page of what the caller sees; of one name, that or nothing.
  absl::StatusOr<store::ApplicationPage> PageFor(const access::Caller& caller,
                                                 const v1::GetOverviewRequest& request);
  absl::Status Describe(const access::Caller& caller,
                        const std::vector<domain::Application>& applications, std::size_t versions,
                        v1::Overview& response);

  const Deps deps_;
  catalog::VersionReader& versions_;
  store::RepositoryCredentialStore& credentials_;
  const FarmId farm_;
};

}  // namespace slipway::api
