#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/crypto/pki.h"

namespace slipway::controller {

// "HOST:PORT" of gRPC, without a scheme. kInvalidArgument, reason BAD_LISTEN.
[[nodiscard]] absl::Status CheckListen(const std::string& listen);

// What the server's certificate is for: this machine, and the operator's names and addresses.
[[nodiscard]] crypto::ServerNames NamesFor(const std::vector<std::string>& names);

}  // namespace slipway::controller
