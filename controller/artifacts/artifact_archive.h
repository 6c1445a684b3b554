#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/manifest/blob_piece.h"
#include "common/manifest/manifest.h"
#include "controller/artifacts/artifact_index.h"
#include "controller/artifacts/blob_store.h"

namespace slipway::artifacts {

struct ArchiveOptions {
  // How long announced and sent blobs wait for their artifact before they may be collected.
  std::chrono::seconds lease = std::chrono::hours(24);
  // Largest single file of a product, in bytes.
  std::uint64_t max_blob_bytes = std::uint64_t{4} << 30;
  // Largest product, in bytes of all its files.
  std::uint64_t max_artifact_bytes = std::uint64_t{16} << 30;
  manifest::ManifestLimits manifest{};
};

// What FindMissing answers.
struct UploadPlan {
  // Blobs to send, in the manifest's order. Empty: the product is an artifact now, no Finalize
  // needed.
  std::vector<manifest::BlobRef> missing;
};

// One stream of blobs of one application. Confined to one thread.
class ArchiveUpload {
 public:
  virtual ~ArchiveUpload() = default;
  // Pieces that arrived together. kFailedPrecondition (BLOB_NOT_PLANNED): a blob that FindMissing
  // of this application has not named; otherwise as BlobBatch::Append.
  virtual absl::Status Append(std::span<const manifest::BlobPiece> pieces) = 0;
  // Durable on return; the number of blobs stored.
  virtual absl::StatusOr<std::uint64_t> Commit() = 0;
};

// The archive of products: blobs are shared by all applications, knowledge of them is not. An
// application that names a digest it never sent is asked for the bytes, even when the farm has
// them: otherwise a digest learned elsewhere would be enough to fetch somebody's file, and asking
// would tell what others have.
//
// Whether the caller may act for the application is checked by whoever calls. `store`, `index` and
// `clock` outlive the archive. Thread-safe.
class ArtifactArchive {
 public:
  ArtifactArchive(BlobStore& store, ArtifactIndex& index, const Clock& clock,
                  ArchiveOptions options = {});

  // The first step of an upload, and the last one when nothing has changed since an earlier one.
  // kInvalidArgument: a malformed manifest; kResourceExhausted: a product past the limits.
  absl::StatusOr<UploadPlan> FindMissing(const ApplicationId& application,
                                         std::string_view encoded_manifest);

  absl::StatusOr<std::unique_ptr<ArchiveUpload>> NewUpload(const ApplicationId& application);

  // Makes the product an artifact. Safe to repeat. kFailedPrecondition (BLOBS_MISSING): begin again
  // with FindMissing, which names what is missing.
  absl::Status Finalize(const ApplicationId& application, const Sha256Digest& manifest);

  // kNotFound (NO_SUCH_ARTIFACT): not an artifact of this application.
  absl::StatusOr<Artifact> Find(const ApplicationId& application, const Sha256Digest& manifest);
  absl::StatusOr<std::vector<Artifact>> List(const ApplicationId& application,
                                             std::optional<WallTime> before, std::size_t limit);

  // The manifest of an artifact, checked. kNotFound as Find; kDataLoss (BLOB_CORRUPT).
  absl::StatusOr<manifest::Manifest> LoadManifest(const ApplicationId& application,
                                                  const Sha256Digest& manifest);

  // For the blobs of a manifest from LoadManifest: the stored frame (the receiver checks it) and
  // the checked content.
  absl::StatusOr<std::unique_ptr<fs::ByteReader>> OpenFrame(const Sha256Digest& blob);
  absl::StatusOr<std::unique_ptr<fs::ByteReader>> OpenContent(const Sha256Digest& blob);

 private:
  class Upload;

  [[nodiscard]] WallTime LeaseEnd() const { return clock_.Wall() + options_.lease; }
  absl::Status CheckSizes(const manifest::Manifest& manifest,
                          const std::vector<manifest::BlobRef>& blobs) const;
  absl::Status StoreManifest(const ApplicationId& application, const manifest::BlobRef& blob,
                             std::string_view text);
  absl::StatusOr<manifest::Manifest> ReadManifest(const Sha256Digest& digest);
  absl::Status Register(const ApplicationId& application, const manifest::BlobRef& manifest_blob,
                        const manifest::Manifest& manifest, std::vector<manifest::BlobRef> blobs);

  // Constant after construction; the parts synchronise themselves.
  BlobStore& store_;
  ArtifactIndex& index_;
  const Clock& clock_;
  const ArchiveOptions options_;
};

}  // namespace slipway::artifacts
