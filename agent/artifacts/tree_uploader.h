#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/artifacts/artifact_sink.h"
#include "agent/artifacts/retry.h"
#include "common/base/digest.h"
#include "common/compression/zstd.h"
#include "common/manifest/manifest.h"

namespace slipway::artifacts {

struct UploadOptions {
  // A batch is durable as a whole and survives a lost connection as a whole: larger ones cost fewer
  // syncs, smaller ones repeat less. In uncompressed bytes and in blobs.
  std::uint64_t batch_bytes = std::uint64_t{64} << 20;
  std::size_t batch_blobs = 2000;
  // zstd: 1 (fast) to 19 (small).
  int compression_level = 3;
  // How often the controller may change its mind (blobs collected between two calls) before that
  // counts as its failure.
  int max_rounds = 5;
  RetryOptions retry{};
};

struct UploadReport {
  Sha256Digest manifest;
  std::uint64_t blobs_sent = 0;
  std::uint64_t bytes_sent = 0;  // compressed
};

// Brings a scanned tree into the archive: asks what is missing, sends that in batches, finalizes.
// A lost connection is waited out for as long as `wait` says; the batches that were acknowledged
// are not sent again. A tree that the archive knows costs one call. Confined to one thread.
class TreeUploader {
 public:
  // `sink` outlives the uploader.
  TreeUploader(ArtifactSink& sink, WaitFunction wait, UploadOptions options = {});

  // `manifest` is what ScanTree said of `directory`. kAborted (ARTIFACT_CHANGED): a file changed
  // since then; kCancelled: `wait` said so; other errors are the controller's.
  absl::StatusOr<UploadReport> Upload(int directory, const manifest::Manifest& manifest);

 private:
  absl::Status SendAll(int directory, const manifest::Manifest& manifest,
                       std::span<const Sha256Digest> missing, UploadReport& report);
  absl::Status SendBlob(int directory, const manifest::Entry& file, BlobStream& stream,
                        UploadReport& report);

  ArtifactSink& sink_;
  const WaitFunction wait_;
  const UploadOptions options_;
  compression::ZstdCompressor zstd_;
};

}  // namespace slipway::artifacts
