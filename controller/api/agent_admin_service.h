#pragma once

#include <grpcpp/grpcpp.h>

#include "common/base/digest.h"
#include "controller/agent_gateway/gateway.h"
#include "controller/api/task_service.h"
#include "slipway/v1/agent_admin.grpc.pb.h"

namespace slipway::api {

// The operators' view of agents. Thread-safe.
class AgentAdminService final : public v1::AgentAdminService::Service {
 public:
  // `ca_fingerprint`: SHA-256 of the DER of the farm's CA certificate, part of every join token.
  AgentAdminService(const Deps& deps, agent_gateway::Gateway& gateway, Sha256Digest ca_fingerprint)
      : deps_(deps), gateway_(gateway), ca_fingerprint_(ca_fingerprint) {}

  grpc::Status ListAgents(grpc::ServerContext* context, const v1::ListAgentsRequest* request,
                          v1::ListAgentsResponse* response) override;
  grpc::Status CreateJoinToken(grpc::ServerContext* context,
                               const v1::CreateJoinTokenRequest* request,
                               v1::CreateJoinTokenResponse* response) override;

 private:
  absl::Status DoList(grpc::ServerContext& context, v1::ListAgentsResponse& response);
  absl::Status DoCreateToken(grpc::ServerContext& context,
                             const v1::CreateJoinTokenRequest& request,
                             v1::CreateJoinTokenResponse& response);

  const Deps deps_;
  agent_gateway::Gateway& gateway_;
  const Sha256Digest ca_fingerprint_;
};

}  // namespace slipway::api
