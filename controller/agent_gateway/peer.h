#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "controller/store/catalog_store.h"

namespace slipway::agent_gateway {

// What an agent that left the farm is told. kUnauthenticated, reason AGENT_REVOKED or
// AGENT_RETIRED.
[[nodiscard]] absl::Status AgentGone(const domain::Availability& why);

struct PeerOptions {
  // A certificate that has a successor is refused this long after the successor was issued, even
  // when that was never used.
  Duration overlap = std::chrono::hours(24 * 7);
};

// Tells which agent calls, from nothing but its certificate; the first call with a renewed
// certificate makes that the agent's only one. Thread-safe.
class PeerCheck {
 public:
  // `agents` and `clock` must outlive this.
  PeerCheck(FarmId farm, store::AgentStore& agents, const Clock& clock, PeerOptions options)
      : farm_(std::move(farm)), agents_(agents), clock_(clock), options_(options) {}

  // kUnauthenticated, reason NO_AGENT_CERTIFICATE: none, or one of another farm; UNKNOWN_AGENT: the
  // farm does not know it; AGENT_REVOKED, AGENT_RETIRED: it has left; CERTIFICATE_EXPIRED;
  // CERTIFICATE_REPLACED: another one was issued to it since. Reads the database.
  [[nodiscard]] absl::StatusOr<domain::Agent> Identify(grpc::ServerContextBase& context) const;
  // The same for a certificate in PEM.
  [[nodiscard]] absl::StatusOr<domain::Agent> IdentifyCertificate(const std::string& pem) const;

 private:
  absl::StatusOr<domain::Agent> CheckAgent(domain::Agent agent,
                                           const domain::AgentCertificate& shown) const;

  const FarmId farm_;
  store::AgentStore& agents_;
  const Clock& clock_;
  const PeerOptions options_;
};

}  // namespace slipway::agent_gateway
