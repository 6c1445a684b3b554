#include "controller/agent_gateway/peer.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "common/crypto/pki.h"
#include "common/status/status.h"

namespace slipway::agent_gateway {
namespace {

absl::Status Refuse(const char* reason, std::string message, const char* remedy) {
  return MakeError(absl::StatusCode::kUnauthenticated, reason, std::move(message), remedy);
}

}  // namespace

absl::Status AgentGone(const domain::Availability& why) {
  const bool revoked = why.mode == domain::AgentMode::kRevoked;
  std::string message = revoked ? "this agent was revoked" : "this agent was retired";
  if (!why.reason.empty()) message += ": " + why.reason;
  return Refuse(revoked ? "AGENT_REVOKED" : "AGENT_RETIRED", std::move(message),
                "To bring the machine back, join it anew with a new token and an empty data "
                "directory.");
}

absl::StatusOr<domain::Agent> PeerCheck::Identify(grpc::ServerContextBase& context) const {
  const auto auth = context.auth_context();
  const auto certificates = auth->FindPropertyValues("x509_pem_cert");
  if (!auth->IsPeerAuthenticated() || certificates.empty()) {
    return Refuse("NO_AGENT_CERTIFICATE", "this call needs an agent's certificate",
                  "Join the farm first: slipway-agent join.");
  }
  return IdentifyCertificate(std::string(certificates.front().data(), certificates.front().size()));
}

absl::StatusOr<domain::Agent> PeerCheck::IdentifyCertificate(const std::string& pem) const {
  SLIPWAY_ASSIGN_OR_RETURN(const auto facts, crypto::ReadCertificate(pem));
  for (const std::string& uri : facts.uris) {
    const auto id = crypto::AgentOfUri(uri, farm_);
    if (!id.ok()) continue;
    auto agent = agents_.Get(*id);
    if (agent.status().code() == absl::StatusCode::kNotFound) {
      return Refuse("UNKNOWN_AGENT", fmt::format("the farm knows no agent {}", id->value()),
                    "Join it again with a new token.");
    }
    SLIPWAY_RETURN_IF_ERROR(agent.status());
    return CheckAgent(*std::move(agent), {facts.fingerprint.Hex(), facts.not_after});
  }
  return Refuse("NO_AGENT_CERTIFICATE", "the certificate is not one of this farm's agents",
                "Join the farm first: slipway-agent join.");
}

absl::StatusOr<domain::Agent> PeerCheck::CheckAgent(domain::Agent agent,
                                                    const domain::AgentCertificate& shown) const {
  if (domain::IsGone(agent.availability.mode)) return AgentGone(agent.availability);
  const WallTime now = clock_.Wall();
  // The handshake looks at the end only once per connection.
  if (shown.not_after <= now) {
    return Refuse("CERTIFICATE_EXPIRED",
                  fmt::format("the certificate of agent {} has ended", agent.name),
                  "Revoke the agent and join it again with a new token.");
  }
  if (shown.fingerprint == agent.successor.fingerprint) {
    const absl::Status promoted = agents_.PromoteSuccessor(agent.id, shown.fingerprint, now);
    if (!promoted.ok() && !absl::IsNotFound(promoted)) return promoted;
    // Not found: another call was faster, or there is a newer successor.
    SLIPWAY_ASSIGN_OR_RETURN(agent, agents_.Get(agent.id));
  }
  const bool overlaps =
      agent.successor.fingerprint.empty() || now < agent.successor_since + options_.overlap;
  if (shown.fingerprint == agent.certificate.fingerprint && overlaps) return agent;
  return Refuse("CERTIFICATE_REPLACED",
                fmt::format("agent {} has another certificate by now", agent.name),
                "If two machines use one identity, revoke the agent and join each anew.");
}

}  // namespace slipway::agent_gateway
