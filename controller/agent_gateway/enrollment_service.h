#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <string>

#include "common/base/time.h"
#include "common/crypto/pki.h"
#include "controller/agent_gateway/peer.h"
#include "controller/store/catalog_store.h"
#include "slipway/v1/enrollment.grpc.pb.h"

namespace slipway::agent_gateway {

// Turns join tokens into agents, and renews their certificates. The only service that answers
// callers it does not know; whoever has no token learns nothing from it. Thread-safe.
class EnrollmentService final : public v1::EnrollmentService::Service {
 public:
  // All must outlive this.
  struct Deps {
    const crypto::KeyAndCertificate& ca;
    store::AgentStore& agents;
    const PeerCheck& peers;
    const Clock& clock;
  };
  // `lifetime`: of the certificates it issues.
  EnrollmentService(FarmId farm, const Deps& deps, std::chrono::seconds lifetime)
      : farm_(std::move(farm)), deps_(deps), lifetime_(lifetime) {}

  grpc::Status Join(grpc::ServerContext* context, const v1::JoinRequest* request,
                    v1::JoinResponse* response) override;
  grpc::Status Renew(grpc::ServerContext* context, const v1::RenewRequest* request,
                     v1::RenewResponse* response) override;
  grpc::Status Confirm(grpc::ServerContext* context, const v1::ConfirmRequest* request,
                       v1::ConfirmResponse* response) override;

 private:
  absl::Status DoJoin(const std::string& peer, const v1::JoinRequest& request,
                      v1::JoinResponse& response);
  absl::Status DoRenew(grpc::ServerContext& context, const v1::RenewRequest& request,
                       v1::RenewResponse& response);

  const FarmId farm_;
  const Deps deps_;
  const std::chrono::seconds lifetime_;
};

}  // namespace slipway::agent_gateway
