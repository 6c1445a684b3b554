#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace slipway::agent {

// Copies the slipway-init at `source` to <data_dir>/bin/slipway-init-<hash> and gives that path: an
// upgrade of the program must not change what runs in containers that live. Durable; nothing to do
// when it is there. kNotFound, NO_INIT: there is none at `source`.
[[nodiscard]] absl::StatusOr<std::string> CopyInit(const std::string& source,
                                                   const std::string& data_dir);

}  // namespace slipway::agent
