#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/fs/unique_fd.h"
#include "common/manifest/blob_piece.h"
#include "common/manifest/manifest.h"

namespace slipway::manifest {

// From a manifest and its blobs back to the directory: files read-only (0444, 0555), every byte
// checked against the manifest, nothing outside the directory touched. Each distinct blob comes
// once, in any order. The tree is complete only after Finish; after an error whoever made the
// directory removes it. Thread-compatible.
class TreeWriter {
 public:
  // Makes `path`, whose parent exists, or takes it when it is an empty directory. `manifest` must
  // outlive the writer. kFailedPrecondition: the directory is not empty.
  static absl::StatusOr<TreeWriter> Create(const std::string& path, const Manifest& manifest);

  // The next piece of a blob. kInvalidArgument: a blob that the manifest does not name or that has
  // come already; kDataLoss: not its content.
  absl::Status Accept(const BlobPiece& piece);

  // Adds directories and symlinks. kDataLoss: blobs are missing.
  absl::Status Finish();

 private:
  TreeWriter(fs::UniqueFd root, const Manifest& manifest);

  absl::StatusOr<fs::UniqueFd> OpenParent(std::string_view path, std::string& name);
  absl::StatusOr<fs::UniqueFd> CreateFile(const Entry& entry);
  absl::Status BeginBlob(const BlobRef& blob);
  absl::Status EndBlob();

  fs::UniqueFd root_;
  const Manifest* manifest_;
  // The files that still need their blob.
  std::map<Sha256Digest, std::vector<const Entry*>> wanted_;
  BlobVerifier verifier_;
  // The blob being received: where it goes.
  std::vector<const Entry*> receiving_;
  fs::UniqueFd file_;
};

}  // namespace slipway::manifest
