#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

#include "controller/api/task_service.h"
#include "controller/credentials/repository_credentials.h"
#include "slipway/v1/application.grpc.pb.h"

namespace slipway::api {

// Applications and the farm itself. Thread-safe.
class ApplicationService final : public v1::ApplicationService::Service {
 public:
  struct Options {
    FarmId farm;
    std::string sealing_certificate;  // PEM
    std::string version;
    // Repositories on the controller's own disk: for demonstrations and tests.
    bool allow_local_repositories = false;
  };
  // `credentials` must outlive this.
  ApplicationService(const Deps& deps, Options options,
                     const credentials::RepositoryCredentials& credentials)
      : deps_(deps), options_(std::move(options)), credentials_(credentials) {}

  grpc::Status CreateApplication(grpc::ServerContext* context,
                                 const v1::CreateApplicationRequest* request,
                                 v1::Application* response) override;
  grpc::Status UpdateApplication(grpc::ServerContext* context,
                                 const v1::UpdateApplicationRequest* request,
                                 v1::Application* response) override;
  grpc::Status SetRepositoryCredential(grpc::ServerContext* context,
                                       const v1::SetRepositoryCredentialRequest* request,
                                       v1::Application* response) override;
  grpc::Status GetApplication(grpc::ServerContext* context,
                              const v1::GetApplicationRequest* request,
                              v1::Application* response) override;
  grpc::Status ListApplications(grpc::ServerContext* context,
                                const v1::ListApplicationsRequest* request,
                                v1::ListApplicationsResponse* response) override;
  grpc::Status GetFarm(grpc::ServerContext* context, const v1::GetFarmRequest* request,
                       v1::Farm* response) override;

 private:
  absl::Status DoCreate(grpc::ServerContext& context, const v1::CreateApplicationRequest& request,
                        v1::Application& response);
  absl::Status DoUpdate(grpc::ServerContext& context, const v1::UpdateApplicationRequest& request,
                        v1::Application& response);
  absl::Status DoSetCredential(grpc::ServerContext& context,
                               const v1::SetRepositoryCredentialRequest& request,
                               v1::Application& response);
  absl::Status DoList(grpc::ServerContext& context, const v1::ListApplicationsRequest& request,
                      v1::ListApplicationsResponse& response);
  absl::Status Describe(const access::Caller& caller, const domain::Application& application,
                        v1::Application& response);

  const Deps deps_;
  const Options options_;
  const credentials::RepositoryCredentials& credentials_;
};

}  // namespace slipway::api
