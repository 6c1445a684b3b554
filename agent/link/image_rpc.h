#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/link/channel.h"
#include "common/base/digest.h"
#include "common/base/ids.h"

namespace slipway::link {

// Asks the controller where the prepared image of an attempt's application is. nullopt: nobody has
// shared it. Blocks, with a deadline.
[[nodiscard]] absl::StatusOr<std::optional<Sha256Digest>> FindPreparedImage(
    const ChannelSource& channel, const AttemptKey& key, const std::string& name);
// Tells the controller that it is the artifact `manifest`.
[[nodiscard]] absl::Status SharePreparedImage(const ChannelSource& channel, const AttemptKey& key,
                                              const std::string& name,
                                              const Sha256Digest& manifest);

}  // namespace slipway::link
