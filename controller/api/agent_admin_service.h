#pragma once

#include <grpcpp/grpcpp.h>

#include <map>

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
  grpc::Status GetAgent(grpc::ServerContext* context, const v1::GetAgentRequest* request,
                        v1::Agent* response) override;
  grpc::Status ChangeAgents(grpc::ServerContext* context, const v1::ChangeAgentsRequest* request,
                            v1::ChangeAgentsResponse* response) override;
  grpc::Status CreateJoinToken(grpc::ServerContext* context,
                               const v1::CreateJoinTokenRequest* request,
                               v1::CreateJoinTokenResponse* response) override;
  grpc::Status ListJoinTokens(grpc::ServerContext* context,
                              const v1::ListJoinTokensRequest* request,
                              v1::ListJoinTokensResponse* response) override;
  grpc::Status RevokeJoinToken(grpc::ServerContext* context,
                               const v1::RevokeJoinTokenRequest* request,
                               v1::RevokeJoinTokenResponse* response) override;

 private:
  using Views = std::map<AgentId, scheduler::AgentView>;

  absl::Status DoList(grpc::ServerContext& context, const v1::ListAgentsRequest& request,
                      v1::ListAgentsResponse& response);
  absl::Status DoGet(grpc::ServerContext& context, const v1::GetAgentRequest& request,
                     v1::Agent& response);
  absl::Status DoChange(grpc::ServerContext& context, const v1::ChangeAgentsRequest& request,
                        v1::ChangeAgentsResponse& response);
  absl::Status DoCreateToken(grpc::ServerContext& context,
                             const v1::CreateJoinTokenRequest& request,
                             v1::CreateJoinTokenResponse& response);
  absl::Status DoListTokens(grpc::ServerContext& context, const v1::ListJoinTokensRequest& request,
                            v1::ListJoinTokensResponse& response);
  absl::Status DoRevokeToken(grpc::ServerContext& context,
                             const v1::RevokeJoinTokenRequest& request);

  [[nodiscard]] Views AllViews() const;
  [[nodiscard]] store::Cause CauseOf(const access::Caller& caller) const;
  [[nodiscard]] v1::Agent Describe(const domain::Agent& agent, const Views& views) const;

  const Deps deps_;
  agent_gateway::Gateway& gateway_;
  const Sha256Digest ca_fingerprint_;
};

}  // namespace slipway::api
