#pragma once

#include <string>
#include <vector>

#include "agent/link/identity.h"
#include "common/base/time.h"
#include "common/crypto/pki.h"

// The one thing that depends on the machine's clock: whether a certificate is valid today.
namespace slipway::link {

// One of the certificates, with the name that people know it by.
struct NamedCertificate {
  std::string name;
  crypto::CertificateFacts facts;
};

// Says so when a certificate seems to have ended, or not to have begun; empty when all are valid at
// `now`. Pure.
[[nodiscard]] std::string ClockTrouble(const std::vector<NamedCertificate>& certificates,
                                       WallTime now);

// Why no connection comes about, when it is for want of a common time: by the agent's own
// certificates and those that the server shows. Empty: not for that, or nobody knows. Asks the
// server; blocks for some seconds.
[[nodiscard]] std::string ExplainByClock(const Identity& identity, WallTime now);

}  // namespace slipway::link
