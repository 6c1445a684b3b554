#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "controller/store/catalog_store.h"

namespace slipway::agent_gateway {

// Tells which agent calls, from nothing but its certificate. Thread-safe.
class PeerCheck {
 public:
  PeerCheck(FarmId farm, store::AgentStore& agents) : farm_(std::move(farm)), agents_(agents) {}

  // kUnauthenticated, reason NO_AGENT_CERTIFICATE: none, or one of another farm;
  // AGENT_REVOKED or UNKNOWN_AGENT: the farm does not know it (any more). Reads the database.
  [[nodiscard]] absl::StatusOr<domain::Agent> Identify(grpc::ServerContextBase& context) const;

 private:
  const FarmId farm_;
  store::AgentStore& agents_;
};

}  // namespace slipway::agent_gateway
