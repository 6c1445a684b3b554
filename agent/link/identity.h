#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/crypto/secret.h"

namespace slipway::link {

// Who this machine is in which farm: what `join` leaves in the data directory and every later start
// needs. The key never leaves the machine. Thread-compatible.
struct Identity {
  std::string server;  // host:port of the controller
  // Name to expect in the controller's certificate; empty: the host of `server`.
  std::string server_name;
  AgentId agent;
  FarmId farm;
  std::string name;
  std::string certificate_pem;
  std::string ca_pem;
  crypto::SecretBytes key_pem;

  [[nodiscard]] Identity Copy() const;
};

// Files: identity.pem (0600; key and certificate in one, so that no crash can part them), ca.pem
// and, last, agent.yaml: without it, nobody has joined. Durable on return.
[[nodiscard]] absl::Status SaveIdentity(const std::string& data_dir, const Identity& identity);

// Replaces key and certificate of a saved identity: the files hold the old pair or the new one at
// any time. Durable on return.
[[nodiscard]] absl::Status SaveRenewed(const std::string& data_dir, const Identity& identity);

// kFailedPrecondition, NOT_JOINED: nobody has. kInvalidArgument: the files do not fit together.
[[nodiscard]] absl::StatusOr<Identity> LoadIdentity(const std::string& data_dir);

[[nodiscard]] bool HasIdentity(const std::string& data_dir);

}  // namespace slipway::link
