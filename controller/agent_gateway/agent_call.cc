#include "controller/agent_gateway/agent_call.h"

#include <mutex>
#include <utility>

#include "common/status/status.h"

namespace slipway::agent_gateway {

class AgentCall::Canceler final : public OpenStream {
 public:
  explicit Canceler(grpc::ServerContext& context) : context_(&context) {}

  void End(const absl::Status& why) override {
    // At shutdown the server gives its calls some time of their own.
    if (!absl::IsUnauthenticated(why)) return;
    const std::lock_guard lock(mu_);
    if (context_ != nullptr) context_->TryCancel();
  }
  void Forget() {
    const std::lock_guard lock(mu_);
    context_ = nullptr;
  }

 private:
  std::mutex mu_;
  grpc::ServerContext* context_;  // null: the call is over
};

absl::StatusOr<std::unique_ptr<AgentCall>> AgentCall::Begin(grpc::ServerContext& context,
                                                            Gateway& gateway,
                                                            const PeerCheck& peers) {
  SLIPWAY_ASSIGN_OR_RETURN(domain::Agent agent, peers.Identify(context));
  auto canceler = std::make_shared<Canceler>(context);
  SLIPWAY_RETURN_IF_ERROR(gateway.Attach(agent.id, canceler.get(), canceler));
  return std::unique_ptr<AgentCall>(new AgentCall(std::move(agent), std::move(canceler), gateway));
}

AgentCall::AgentCall(domain::Agent agent, std::shared_ptr<Canceler> canceler, Gateway& gateway)
    : agent_(std::move(agent)), canceler_(std::move(canceler)), gateway_(gateway) {}

AgentCall::~AgentCall() {
  gateway_.Detach(canceler_.get());
  canceler_->Forget();
}

}  // namespace slipway::agent_gateway
