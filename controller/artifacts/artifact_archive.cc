#include "controller/artifacts/artifact_archive.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "common/compression/zstd.h"
#include "common/crypto/hash.h"
#include "common/status/status.h"

namespace slipway::artifacts {
namespace {

using absl::StatusCode;
using manifest::BlobPiece;
using manifest::BlobRef;
using manifest::Manifest;

absl::Status NoSuchArtifact(const Sha256Digest& manifest) {
  return MakeError(StatusCode::kNotFound, "NO_SUCH_ARTIFACT",
                   fmt::format("the application has no artifact {}", manifest.ToString()));
}

std::vector<Sha256Digest> DigestsOf(std::span<const BlobRef> blobs) {
  std::vector<Sha256Digest> digests;
  digests.reserve(blobs.size());
  for (const BlobRef& blob : blobs) digests.push_back(blob.digest);
  return digests;
}

}  // namespace

class ArtifactArchive::Upload final : public ArchiveUpload {
 public:
  Upload(ArtifactArchive& archive, ApplicationId application, std::unique_ptr<BlobBatch> batch)
      : archive_(archive), application_(std::move(application)), batch_(std::move(batch)) {}

  absl::Status Append(std::span<const BlobPiece> pieces) override {
    SLIPWAY_RETURN_IF_ERROR(Admit(pieces));
    for (const BlobPiece& piece : pieces) {
      SLIPWAY_RETURN_IF_ERROR(batch_->Append(piece));
      if (piece.last) complete_.push_back(piece.blob);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::uint64_t> Commit() override {
    SLIPWAY_RETURN_IF_ERROR(batch_->Commit());
    SLIPWAY_RETURN_IF_ERROR(
        archive_.index_.MarkStored(application_, complete_, archive_.LeaseEnd()));
    return complete_.size();
  }

 private:
  // Checks the blobs that begin in `pieces`, with one question to the index for all of them.
  absl::Status Admit(std::span<const BlobPiece> pieces) {
    std::vector<Sha256Digest> fresh;
    for (const BlobPiece& piece : pieces) {
      if (piece.blob.size > archive_.options_.max_blob_bytes) {
        return MakeError(StatusCode::kResourceExhausted, "ARTIFACT_TOO_LARGE",
                         fmt::format("a file of {} bytes, {} are allowed", piece.blob.size,
                                     archive_.options_.max_blob_bytes));
      }
      if (piece.blob.digest != admitted_) fresh.push_back(piece.blob.digest);
      admitted_ = piece.blob.digest;
    }
    if (fresh.empty()) return absl::OkStatus();
    SLIPWAY_ASSIGN_OR_RETURN(const std::vector<bool> planned,
                             archive_.index_.Planned(application_, fresh, archive_.clock_.Wall()));
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      if (planned[i]) continue;
      return MakeError(StatusCode::kFailedPrecondition, "BLOB_NOT_PLANNED",
                       fmt::format("blob {} was not asked for", fresh[i].ToString()),
                       "Begin the upload again with its manifest.");
    }
    return absl::OkStatus();
  }

  ArtifactArchive& archive_;
  const ApplicationId application_;
  const std::unique_ptr<BlobBatch> batch_;
  std::vector<BlobRef> complete_;
  Sha256Digest admitted_;
};

ArtifactArchive::ArtifactArchive(BlobStore& store, ArtifactIndex& index, const Clock& clock,
                                 ArchiveOptions options)
    : store_(store), index_(index), clock_(clock), options_(options) {}

absl::StatusOr<UploadPlan> ArtifactArchive::FindMissing(const ApplicationId& application,
                                                        std::string_view encoded_manifest) {
  const BlobRef manifest_blob{crypto::Sha256Of(encoded_manifest), encoded_manifest.size()};
  // The product of the build before, as most products are. Its text was checked when it came first.
  SLIPWAY_ASSIGN_OR_RETURN(const bool whole, index_.IsWhole(application, manifest_blob.digest));
  if (whole) return UploadPlan{};
  SLIPWAY_ASSIGN_OR_RETURN(const Manifest manifest,
                           Manifest::Parse(encoded_manifest, options_.manifest));
  std::vector<BlobRef> blobs = manifest::DistinctBlobs(manifest);
  SLIPWAY_RETURN_IF_ERROR(CheckSizes(manifest, blobs));
  const std::vector<Sha256Digest> digests = DigestsOf(blobs);
  SLIPWAY_ASSIGN_OR_RETURN(const std::optional<Artifact> known,
                           index_.Find(application, manifest_blob.digest));
  if (!known) {
    // Planned before asking, so that nothing held now can be collected before the artifact exists.
    SLIPWAY_RETURN_IF_ERROR(index_.Plan(application, digests, clock_.Wall(), LeaseEnd()));
    SLIPWAY_RETURN_IF_ERROR(StoreManifest(application, manifest_blob, encoded_manifest));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const std::vector<bool> held,
                           index_.Held(application, digests, clock_.Wall()));
  UploadPlan plan;
  for (std::size_t i = 0; i < blobs.size(); ++i) {
    if (!held[i]) plan.missing.push_back(blobs[i]);
  }
  if (plan.missing.empty() && !known) {
    SLIPWAY_RETURN_IF_ERROR(Register(application, manifest_blob, manifest, std::move(blobs)));
  }
  return plan;
}

absl::StatusOr<std::unique_ptr<ArchiveUpload>> ArtifactArchive::NewUpload(
    const ApplicationId& application) {
  SLIPWAY_ASSIGN_OR_RETURN(std::unique_ptr<BlobBatch> batch, store_.NewBatch());
  return std::make_unique<Upload>(*this, application, std::move(batch));
}

absl::Status ArtifactArchive::Finalize(const ApplicationId& application,
                                       const Sha256Digest& digest) {
  SLIPWAY_ASSIGN_OR_RETURN(const std::vector<bool> held,
                           index_.Held(application, {&digest, 1}, clock_.Wall()));
  if (!held[0]) {
    return MakeError(StatusCode::kFailedPrecondition, "BLOBS_MISSING",
                     "the product's manifest is not stored",
                     "Begin the upload again with its manifest.");
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(digest));
  const std::uint64_t size = manifest.Encode().size();
  return Register(application, {digest, size}, manifest, manifest::DistinctBlobs(manifest));
}

absl::StatusOr<Artifact> ArtifactArchive::Find(const ApplicationId& application,
                                               const Sha256Digest& manifest) {
  SLIPWAY_ASSIGN_OR_RETURN(std::optional<Artifact> artifact, index_.Find(application, manifest));
  if (!artifact) return NoSuchArtifact(manifest);
  return *std::move(artifact);
}

absl::StatusOr<std::vector<Artifact>> ArtifactArchive::List(const ApplicationId& application,
                                                            std::optional<WallTime> before,
                                                            std::size_t limit) {
  return index_.List(application, before, limit);
}

absl::StatusOr<Manifest> ArtifactArchive::LoadManifest(const ApplicationId& application,
                                                       const Sha256Digest& manifest) {
  SLIPWAY_RETURN_IF_ERROR(Find(application, manifest).status());
  return ReadManifest(manifest);
}

absl::StatusOr<std::unique_ptr<fs::ByteReader>> ArtifactArchive::OpenFrame(
    const Sha256Digest& blob) {
  return store_.OpenFrame(blob);
}

absl::StatusOr<std::unique_ptr<fs::ByteReader>> ArtifactArchive::OpenContent(
    const Sha256Digest& blob) {
  return store_.Open(blob);
}

absl::Status ArtifactArchive::CheckSizes(const Manifest& manifest,
                                         const std::vector<BlobRef>& blobs) const {
  if (manifest.total_bytes() > options_.max_artifact_bytes) {
    return MakeError(StatusCode::kResourceExhausted, "ARTIFACT_TOO_LARGE",
                     fmt::format("the product has {} bytes, {} are allowed", manifest.total_bytes(),
                                 options_.max_artifact_bytes));
  }
  for (const BlobRef& blob : blobs) {
    if (blob.size <= options_.max_blob_bytes) continue;
    return MakeError(StatusCode::kResourceExhausted, "ARTIFACT_TOO_LARGE",
                     fmt::format("the product has a file of {} bytes, {} are allowed", blob.size,
                                 options_.max_blob_bytes));
  }
  return absl::OkStatus();
}

absl::Status ArtifactArchive::StoreManifest(const ApplicationId& application, const BlobRef& blob,
                                            std::string_view text) {
  const WallTime now = clock_.Wall();
  const WallTime until = now + options_.lease;
  SLIPWAY_RETURN_IF_ERROR(index_.Plan(application, {&blob.digest, 1}, now, until));
  SLIPWAY_ASSIGN_OR_RETURN(const std::unique_ptr<BlobBatch> batch, store_.NewBatch());
  compression::ZstdCompressor zstd;
  const auto append = [&](std::string_view bytes) {
    return batch->Append({.blob = blob, .zstd = bytes, .last = false});
  };
  zstd.Begin(text.size());
  SLIPWAY_RETURN_IF_ERROR(zstd.Append(text, append));
  SLIPWAY_RETURN_IF_ERROR(zstd.Finish(append));
  SLIPWAY_RETURN_IF_ERROR(batch->Append({.blob = blob, .zstd = {}, .last = true}));
  SLIPWAY_RETURN_IF_ERROR(batch->Commit());
  return index_.MarkStored(application, {&blob, 1}, until);
}

absl::StatusOr<Manifest> ArtifactArchive::ReadManifest(const Sha256Digest& digest) {
  SLIPWAY_ASSIGN_OR_RETURN(const std::unique_ptr<fs::ByteReader> reader, store_.Open(digest));
  std::string text;
  std::array<char, 64 * 1024> buffer;
  while (true) {
    SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, reader->Read(buffer));
    if (n == 0) break;
    text.append(buffer.data(), n);
    if (text.size() > options_.manifest.max_encoded_bytes) break;
  }
  return Manifest::Parse(text, options_.manifest);
}

absl::Status ArtifactArchive::Register(const ApplicationId& application,
                                       const BlobRef& manifest_blob, const Manifest& manifest,
                                       std::vector<BlobRef> blobs) {
  blobs.push_back(manifest_blob);
  const WallTime now = clock_.Wall();
  return index_.Finalize({.application = application,
                          .manifest = manifest_blob.digest,
                          .total_bytes = manifest.total_bytes(),
                          .file_count = manifest.file_count(),
                          .created = now},
                         blobs, now);
}

}  // namespace slipway::artifacts
