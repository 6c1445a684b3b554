#include "controller/agent_gateway/peer.h"

#include <fmt/format.h>

#include <string>

#include "common/crypto/pki.h"
#include "common/status/status.h"

namespace slipway::agent_gateway {

absl::StatusOr<domain::Agent> PeerCheck::Identify(grpc::ServerContextBase& context) const {
  const auto auth = context.auth_context();
  const auto certificates = auth->FindPropertyValues("x509_pem_cert");
  if (!auth->IsPeerAuthenticated() || certificates.empty()) {
    return MakeError(absl::StatusCode::kUnauthenticated, "NO_AGENT_CERTIFICATE",
                     "this call needs an agent's certificate",
                     "Join the farm first: slipway-agent join.");
  }
  const std::string pem(certificates.front().data(), certificates.front().size());
  SLIPWAY_ASSIGN_OR_RETURN(const auto facts, crypto::ReadCertificate(pem));
  for (const std::string& uri : facts.uris) {
    const auto id = crypto::AgentOfUri(uri, farm_);
    if (!id.ok()) continue;
    auto agent = agents_.Get(*id);
    if (agent.status().code() == absl::StatusCode::kNotFound) {
      return MakeError(absl::StatusCode::kUnauthenticated, "UNKNOWN_AGENT",
                       fmt::format("the farm knows no agent {}", id->value()),
                       "Join it again with a new token.");
    }
    SLIPWAY_RETURN_IF_ERROR(agent.status());
    if (agent->revoked || agent->certificate_fingerprint != facts.fingerprint.Hex()) {
      return MakeError(
          absl::StatusCode::kUnauthenticated, "AGENT_REVOKED",
          fmt::format("the certificate of agent {} is not valid any more", agent->name),
          "Join it again with a new token.");
    }
    return agent;
  }
  return MakeError(absl::StatusCode::kUnauthenticated, "NO_AGENT_CERTIFICATE",
                   "the certificate is not one of this farm's agents");
}

}  // namespace slipway::agent_gateway
