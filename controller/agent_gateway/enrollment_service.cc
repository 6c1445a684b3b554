#include "controller/agent_gateway/enrollment_service.h"

#include <fmt/format.h>

#include <string>

#include "common/crypto/token.h"
#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"

namespace slipway::agent_gateway {
namespace {

constexpr std::size_t kMaxRequest = 16 * 1024;

bool IsAgentName(const std::string& name) {
  return !name.empty() && name.size() <= 63 && name.front() != '-' && name.front() != '.' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string::npos;
}

}  // namespace

grpc::Status EnrollmentService::Join(grpc::ServerContext* context, const v1::JoinRequest* request,
                                     v1::JoinResponse* response) {
  return rpc::ToGrpc(*context, DoJoin(*request, *response));
}

absl::Status EnrollmentService::DoJoin(const v1::JoinRequest& request, v1::JoinResponse& response) {
  if (!IsAgentName(request.name())) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_AGENT_NAME",
                     fmt::format("'{}' is no name for an agent", request.name()),
                     "Use 1 to 63 of a-z, 0-9, '.' and '-', beginning with a letter or digit.");
  }
  if (request.csr().size() > kMaxRequest || request.token_secret().size() > kMaxRequest) {
    return MakeError(absl::StatusCode::kInvalidArgument, "MALFORMED_MESSAGE",
                     "the request is too large");
  }
  const WallTime now = clock_.Wall();
  domain::Agent agent;
  agent.id = AgentId(NewId("agent-"));
  agent.name = request.name();
  agent.joined_at = now;
  // Checks the request before the token is used up.
  SLIPWAY_ASSIGN_OR_RETURN(const std::string certificate,
                           crypto::IssueAgentCertificate(ca_, request.csr(), farm_, agent.id, now));
  SLIPWAY_ASSIGN_OR_RETURN(const auto facts, crypto::ReadCertificate(certificate));
  agent.certificate_fingerprint = facts.fingerprint.Hex();
  agent.certificate_not_after = facts.not_after;
  SLIPWAY_RETURN_IF_ERROR(
      agents_.Join(crypto::HashToken(request.token_secret()).Hex(), agent, now));
  response.set_agent_id(agent.id.value());
  response.set_farm_id(farm_.value());
  response.set_certificate(certificate);
  response.set_ca(ca_.certificate_pem);
  *response.mutable_not_after() = rpc::ToProto(facts.not_after);
  return absl::OkStatus();
}

}  // namespace slipway::agent_gateway
