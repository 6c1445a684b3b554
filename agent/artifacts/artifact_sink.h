#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/manifest/blob_piece.h"

namespace slipway::artifacts {

// One stream of blobs to the controller. Confined to one thread.
class BlobStream {
 public:
  virtual ~BlobStream() = default;
  // Blocks while the other side is slow. After an error the stream is of no use.
  virtual absl::Status Write(const manifest::BlobPiece& piece) = 0;
  // Ok: every blob written is durable at the controller.
  virtual absl::Status Finish() = 0;
};

// Where a build's product goes, for one attempt. Implementations bound every call in time and map
// a lost connection to kUnavailable. Confined to one thread.
class ArtifactSink {
 public:
  virtual ~ArtifactSink() = default;
  // Which blobs the controller wants. None: the product is an artifact already.
  virtual absl::StatusOr<std::vector<Sha256Digest>> FindMissing(
      std::string_view encoded_manifest) = 0;
  virtual absl::StatusOr<std::unique_ptr<BlobStream>> StartUpload() = 0;
  // Makes the product an artifact. kFailedPrecondition, BLOBS_MISSING: ask FindMissing again.
  virtual absl::Status Finalize(const Sha256Digest& manifest) = 0;
};

}  // namespace slipway::artifacts
