#pragma once

#include "absl/status/statusor.h"
#include "agent/link/channel.h"
#include "common/base/ids.h"
#include "common/crypto/repository_credential.h"

namespace slipway::link {

// Asks the controller what the private repository of a build is read with. Blocks, with a deadline.
// kUnavailable: call again; kNotFound, reason NO_REPOSITORY_CREDENTIAL: there is none any more.
[[nodiscard]] absl::StatusOr<crypto::RepositoryCredential> FetchRepositoryCredential(
    const ChannelSource& channel, const AttemptKey& key);

}  // namespace slipway::link
