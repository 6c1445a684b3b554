#pragma once

#include "absl/status/status.h"
#include "common/base/digest.h"
#include "common/manifest/tree_receiver.h"

namespace slipway::artifacts {

// Where the product to publish comes from. Confined to one thread.
class ArtifactSource {
 public:
  virtual ~ArtifactSource() = default;
  // Feeds manifest parts and pieces to `receiver` and stops at its first error, which it returns.
  // Does not call Finish. kUnavailable: the connection was lost, call again with a new receiver.
  virtual absl::Status Fetch(const Sha256Digest& manifest, manifest::TreeReceiver& receiver) = 0;
};

}  // namespace slipway::artifacts
