#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/crypto/secret.h"
#include "controller/cli/session.h"

// Keys and passwords that a command is given by file, so that no list of processes shows them.
namespace slipway::cli {

// At most 64 KiB of a file; warns when others on the machine may read it.
[[nodiscard]] absl::StatusOr<crypto::SecretBytes> ReadSecretFile(Session& session,
                                                                 const std::string& path);
// A file without the end of its line, or, of "-", the next line of standard input.
[[nodiscard]] absl::StatusOr<crypto::SecretBytes> ReadPassword(Session& session,
                                                               const std::string& path);
// At most 64 KiB of what is no secret; "" for no path.
[[nodiscard]] absl::StatusOr<std::string> ReadSmallText(const std::string& path);

}  // namespace slipway::cli
