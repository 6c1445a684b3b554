#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "agent/artifacts/artifact_sink.h"
#include "agent/artifacts/artifact_source.h"
#include "agent/link/channel.h"
#include "common/base/ids.h"

namespace slipway::link {

// The artifact calls of AgentService for one attempt. Every call blocks, has a deadline, and asks
// for its channel anew.
[[nodiscard]] std::unique_ptr<artifacts::ArtifactSink> MakeArtifactSink(ChannelSource channel,
                                                                        const AttemptKey& key);
[[nodiscard]] std::unique_ptr<artifacts::ArtifactSource> MakeArtifactSource(ChannelSource channel,
                                                                            const AttemptKey& key);

}  // namespace slipway::link
