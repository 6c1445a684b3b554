#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "agent/artifacts/artifact_source.h"
#include "agent/artifacts/retry.h"
#include "common/base/digest.h"
#include "common/manifest/manifest.h"

namespace slipway::artifacts {

// Unpacks the artifact `manifest` into `path`, which must not exist: read-only files, each checked.
// A lost connection is waited out and the directory begun anew; after an error nothing is left at
// `path`. kCancelled: `wait` said so; kDataLoss: the source's bytes are not the artifact's.
absl::StatusOr<manifest::Manifest> FetchTree(ArtifactSource& source, const Sha256Digest& manifest,
                                             const std::string& path, const WaitFunction& wait,
                                             const RetryOptions& options = {});

}  // namespace slipway::artifacts
