#pragma once

#include <grpcpp/grpcpp.h>

#include <set>
#include <string>

#include "controller/api/auth.h"
#include "controller/store/access_store.h"
#include "controller/store/target_store.h"
#include "slipway/v1/catalog.grpc.pb.h"

namespace slipway::api {

// Targets and environments. Thread-safe.
class CatalogService final : public v1::CatalogService::Service {
 public:
  struct Deps {
    const Authenticator& auth;
    store::TargetStore& targets;
    store::AccountStore& accounts;
    FarmId farm;
    // What channels' secrets are sealed for.
    std::string sealing_certificate;
  };
  explicit CatalogService(const Deps& deps) : deps_(deps) {}

  grpc::Status CreateTarget(grpc::ServerContext* context, const v1::CreateTargetRequest* request,
                            v1::Target* response) override;
  grpc::Status UpdateTarget(grpc::ServerContext* context, const v1::UpdateTargetRequest* request,
                            v1::Target* response) override;
  grpc::Status SetTargetSecret(grpc::ServerContext* context,
                               const v1::SetTargetSecretRequest* request,
                               v1::Target* response) override;
  grpc::Status DeleteTarget(grpc::ServerContext* context, const v1::DeleteTargetRequest* request,
                            v1::DeleteTargetResponse* response) override;
  grpc::Status GetTarget(grpc::ServerContext* context, const v1::GetTargetRequest* request,
                         v1::Target* response) override;
  grpc::Status ListTargets(grpc::ServerContext* context, const v1::ListTargetsRequest* request,
                           v1::ListTargetsResponse* response) override;
  grpc::Status CreateEnvironment(grpc::ServerContext* context,
                                 const v1::CreateEnvironmentRequest* request,
                                 v1::Environment* response) override;
  grpc::Status UpdateEnvironment(grpc::ServerContext* context,
                                 const v1::UpdateEnvironmentRequest* request,
                                 v1::Environment* response) override;
  grpc::Status DeleteEnvironment(grpc::ServerContext* context,
                                 const v1::DeleteEnvironmentRequest* request,
                                 v1::DeleteEnvironmentResponse* response) override;
  grpc::Status GetEnvironment(grpc::ServerContext* context,
                              const v1::GetEnvironmentRequest* request,
                              v1::Environment* response) override;
  grpc::Status ListEnvironments(grpc::ServerContext* context,
                                const v1::ListEnvironmentsRequest* request,
                                v1::ListEnvironmentsResponse* response) override;

 private:
  // What a caller is shown.
  struct Scope {
    bool admin = false;       // everything, with proxies and CAs
    bool everywhere = false;  // every target
    std::set<std::string> environments{};

    [[nodiscard]] bool Includes(const std::string& environment) const {
      return admin || everywhere || environments.contains(environment);
    }
  };
  [[nodiscard]] absl::StatusOr<Scope> ScopeOf(const grpc::ServerContext& context) const;
  [[nodiscard]] absl::StatusOr<store::Cause> AdminCause(const grpc::ServerContext& context,
                                                        const std::string& request_id) const;
  absl::Status List(const grpc::ServerContext& context, const std::string& platform,
                    v1::ListTargetsResponse& response) const;
  absl::Status List(const grpc::ServerContext& context,
                    v1::ListEnvironmentsResponse& response) const;

  const Deps deps_;
};

}  // namespace slipway::api
