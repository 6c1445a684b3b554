#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "agent/link/channel.h"
#include "common/base/ids.h"
#include "common/crypto/repository_credential.h"

namespace slipway::link {

// Asks the controller what the private repository of a build, at the URL that its spec names, is
// read with. Blocks, with a deadline. kUnavailable: call again; kNotFound, reason
// NO_REPOSITORY_CREDENTIAL: there is none any more; kPermissionDenied, reason CREDENTIAL_FOREIGN:
// the application has moved to another server.
[[nodiscard]] absl::StatusOr<crypto::RepositoryCredential> FetchRepositoryCredential(
    const ChannelSource& channel, const AttemptKey& key, const std::string& repository);

}  // namespace slipway::link
