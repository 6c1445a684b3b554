#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "absl/status/statusor.h"
#include "controller/agent_gateway/gateway.h"
#include "controller/agent_gateway/peer.h"

namespace slipway::agent_gateway {

// A synchronous call of an agent, identified when it began and broken off when the agent leaves the
// farm. Made first in the call and destroyed before it returns. Thread-compatible.
class AgentCall {
 public:
  // Errors as of PeerCheck::Identify and Gateway::Attach. All must outlive it.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<AgentCall>> Begin(
      grpc::ServerContext& context, Gateway& gateway, const PeerCheck& peers);
  ~AgentCall();
  AgentCall(const AgentCall&) = delete;
  AgentCall& operator=(const AgentCall&) = delete;

  [[nodiscard]] const domain::Agent& agent() const { return agent_; }

 private:
  class Canceler;
  AgentCall(domain::Agent agent, std::shared_ptr<Canceler> canceler, Gateway& gateway);

  const domain::Agent agent_;
  const std::shared_ptr<Canceler> canceler_;
  Gateway& gateway_;
};

}  // namespace slipway::agent_gateway
