#pragma once

#include <grpcpp/grpcpp.h>

#include "common/base/time.h"
#include "common/crypto/pki.h"
#include "controller/store/catalog_store.h"
#include "slipway/v1/enrollment.grpc.pb.h"

namespace slipway::agent_gateway {

// Turns join tokens into agents. The only service that answers callers it does not know; whoever
// has no token learns nothing from it. Thread-safe.
class EnrollmentService final : public v1::EnrollmentService::Service {
 public:
  // The references must outlive this.
  EnrollmentService(FarmId farm, const crypto::KeyAndCertificate& ca, store::AgentStore& agents,
                    const Clock& clock)
      : farm_(std::move(farm)), ca_(ca), agents_(agents), clock_(clock) {}

  grpc::Status Join(grpc::ServerContext* context, const v1::JoinRequest* request,
                    v1::JoinResponse* response) override;

 private:
  absl::Status DoJoin(const v1::JoinRequest& request, v1::JoinResponse& response);

  const FarmId farm_;
  const crypto::KeyAndCertificate& ca_;
  store::AgentStore& agents_;
  const Clock& clock_;
};

}  // namespace slipway::agent_gateway
