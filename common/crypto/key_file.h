#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/crypto/secret.h"

namespace slipway::crypto {

// Writes a secret into `path` so that a reader sees the old content or the new, never a part, and
// nobody but the owner can read it (0600, also while it is being written). Durable on return.
absl::Status WriteSecretFile(const std::string& path, std::string_view bytes);

// Reads a secret of at most 64 KiB. kFailedPrecondition (SECRET_FILE_OPEN_TO_OTHERS): group or
// others may read or write it; kInvalidArgument: not a regular file, or too large.
absl::StatusOr<SecretBytes> ReadSecretFile(const std::string& path);

}  // namespace slipway::crypto
