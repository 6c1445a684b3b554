#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "agent/artifacts/artifact_sink.h"
#include "agent/artifacts/artifact_source.h"
#include "common/base/ids.h"

namespace slipway::link {

// The artifact calls of AgentService for one attempt. Every call blocks and has a deadline.
[[nodiscard]] std::unique_ptr<artifacts::ArtifactSink> MakeArtifactSink(
    std::shared_ptr<grpc::Channel> channel, const AttemptKey& key);
[[nodiscard]] std::unique_ptr<artifacts::ArtifactSource> MakeArtifactSource(
    std::shared_ptr<grpc::Channel> channel, const AttemptKey& key);

}  // namespace slipway::link
