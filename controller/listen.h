#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/crypto/pki.h"

namespace slipway::controller {

// Whether it is "HOST:PORT", without a scheme. kInvalidArgument, reason BAD_LISTEN.
[[nodiscard]] absl::Status CheckListen(const std::string& listen);

// What a server certificate of this machine is for: `names`, which may be addresses, beside the
// host's own name and localhost.
[[nodiscard]] crypto::ServerNames NamesFor(const std::vector<std::string>& names);

}  // namespace slipway::controller
