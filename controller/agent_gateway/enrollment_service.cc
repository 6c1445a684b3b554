#include "controller/agent_gateway/enrollment_service.h"

#include <fmt/format.h>

#include <string>

#include "common/crypto/token.h"
#include "common/log/log.h"
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

absl::Status TooLarge() {
  return MakeError(absl::StatusCode::kInvalidArgument, "MALFORMED_MESSAGE",
                   "the request is too large");
}

absl::StatusOr<domain::AgentCertificate> FactsOf(const std::string& certificate_pem) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto facts, crypto::ReadCertificate(certificate_pem));
  return domain::AgentCertificate{facts.fingerprint.Hex(), facts.not_after};
}

}  // namespace

grpc::Status EnrollmentService::Join(grpc::ServerContext* context, const v1::JoinRequest* request,
                                     v1::JoinResponse* response) {
  return rpc::ToGrpc(*context, DoJoin(context->peer(), *request, *response));
}

absl::Status EnrollmentService::DoJoin(const std::string& peer, const v1::JoinRequest& request,
                                       v1::JoinResponse& response) {
  if (!IsAgentName(request.name())) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_AGENT_NAME",
                     fmt::format("'{}' is no name for an agent", request.name()),
                     "Use 1 to 63 of a-z, 0-9, '.' and '-', beginning with a letter or digit.");
  }
  if (request.csr().size() > kMaxRequest || request.token_secret().size() > kMaxRequest) {
    return TooLarge();
  }
  const WallTime now = deps_.clock.Wall();
  domain::Agent agent;
  agent.id = AgentId(NewId("agent-"));
  agent.name = request.name();
  agent.joined_at = now;
  // Checks the request before the token is used up.
  SLIPWAY_ASSIGN_OR_RETURN(
      const std::string certificate,
      crypto::IssueAgentCertificate(deps_.ca, request.csr(), farm_, agent.id, now, lifetime_));
  SLIPWAY_ASSIGN_OR_RETURN(agent.certificate, FactsOf(certificate));
  SLIPWAY_ASSIGN_OR_RETURN(
      const domain::JoinTokenState state,
      deps_.agents.Join(crypto::HashToken(request.token_secret()).Hex(), agent, now));
  if (state != domain::JoinTokenState::kOpen) {
    // The caller hears the same in all cases; the operator should know which it was.
    log::Warn("join_refused", {{"token", std::string(domain::JoinTokenStateName(state))},
                               {"name", agent.name},
                               {"peer", peer}});
    return MakeError(absl::StatusCode::kPermissionDenied, "BAD_TOKEN",
                     "the join token is not valid: unknown, used already, revoked or expired",
                     "Ask an administrator for a new one.");
  }
  log::Info("agent_joined", {{"agent", agent.id.value()}, {"name", agent.name}, {"peer", peer}});
  response.set_agent_id(agent.id.value());
  response.set_farm_id(farm_.value());
  response.set_certificate(certificate);
  response.set_ca(deps_.ca.certificate_pem);
  *response.mutable_not_after() = rpc::ToProto(agent.certificate.not_after);
  return absl::OkStatus();
}

grpc::Status EnrollmentService::Renew(grpc::ServerContext* context, const v1::RenewRequest* request,
                                      v1::RenewResponse* response) {
  return rpc::ToGrpc(*context, DoRenew(*context, *request, *response));
}

absl::Status EnrollmentService::DoRenew(grpc::ServerContext& context,
                                        const v1::RenewRequest& request,
                                        v1::RenewResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const domain::Agent agent, deps_.peers.Identify(context));
  if (request.csr().size() > kMaxRequest) return TooLarge();
  const WallTime now = deps_.clock.Wall();
  SLIPWAY_ASSIGN_OR_RETURN(
      const std::string certificate,
      crypto::IssueAgentCertificate(deps_.ca, request.csr(), farm_, agent.id, now, lifetime_));
  SLIPWAY_ASSIGN_OR_RETURN(const domain::AgentCertificate successor, FactsOf(certificate));
  SLIPWAY_RETURN_IF_ERROR(deps_.agents.AddSuccessor(agent.id, successor, now));
  response.set_certificate(certificate);
  return absl::OkStatus();
}

grpc::Status EnrollmentService::Confirm(grpc::ServerContext* context, const v1::ConfirmRequest*,
                                        v1::ConfirmResponse*) {
  // Being seen with it is all it takes.
  return rpc::ToGrpc(*context, deps_.peers.Identify(*context).status());
}

}  // namespace slipway::agent_gateway
