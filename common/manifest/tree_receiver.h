#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/base/digest.h"
#include "common/manifest/manifest.h"
#include "common/manifest/tree_writer.h"

namespace slipway::manifest {

// The receiving end of an artifact stream: parts of the manifest, then the blobs; the result is the
// directory. Trusts nothing but the digest it was made with. Thread-compatible.
class TreeReceiver {
 public:
  // `path` as for TreeWriter::Create; untouched until the whole manifest has arrived.
  TreeReceiver(std::string path, const Sha256Digest& digest, const ManifestLimits& limits = {});

  // kInvalidArgument: after the first piece; kResourceExhausted: past the limit.
  absl::Status AcceptManifest(std::string_view part);
  // kDataLoss (MANIFEST_CORRUPT, BLOB_CORRUPT) or as TreeWriter::Accept.
  absl::Status Accept(const BlobPiece& piece);
  // The stream has ended. The manifest of the directory that is complete now.
  absl::StatusOr<Manifest> Finish();

 private:
  absl::Status OpenWriter();

  const std::string path_;
  const Sha256Digest digest_;
  const ManifestLimits limits_;
  std::string text_;
  // On the heap: the writer points at it.
  std::unique_ptr<Manifest> manifest_;
  std::unique_ptr<TreeWriter> writer_;
};

}  // namespace slipway::manifest
