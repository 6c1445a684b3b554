#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/compression/zstd.h"
#include "common/fs/byte_reader.h"
#include "common/manifest/blob_piece.h"

namespace slipway::artifacts {

// Blobs on their way into a BlobStore. What is not committed leaves nothing behind. Outlived by its
// store. Confined to one thread.
class BlobBatch {
 public:
  virtual ~BlobBatch() = default;

  // The next piece; pieces of one blob follow each other. kDataLoss (BLOB_CORRUPT): not the blob it
  // claims to be; kResourceExhausted (STORAGE_FULL): no room. After an error drop the batch.
  virtual absl::Status Append(const manifest::BlobPiece& piece) = 0;

  // Makes every blob of the batch readable under its digest. Durable on return, all of them; after
  // an error some may be there and none is damaged. kInvalidArgument: a blob is not complete.
  virtual absl::Status Commit() = 0;
};

// Bytes under their SHA-256, for all applications together: who may know of a blob is decided by
// ArtifactArchive, never here. Blobs never change; storing one again is harmless, also at the same
// time. Thread-safe.
class BlobStore {
 public:
  virtual ~BlobStore() = default;

  // Which of `digests` are there, in their order.
  virtual absl::StatusOr<std::vector<bool>> Has(std::span<const Sha256Digest> digests) = 0;

  virtual absl::StatusOr<std::unique_ptr<BlobBatch>> NewBatch() = 0;

  // The uncompressed content, checked while it is read: the last Read, the one that returns 0, is
  // kDataLoss (BLOB_CORRUPT) instead when the content is not what the digest names. kNotFound.
  virtual absl::StatusOr<std::unique_ptr<fs::ByteReader>> Open(const Sha256Digest& digest) = 0;

  // The zstd frame as it lies there, unchecked: for receivers that check it themselves. kNotFound.
  virtual absl::StatusOr<std::unique_ptr<fs::ByteReader>> OpenFrame(const Sha256Digest& digest) = 0;

  // Bytes the blob takes in the store. kNotFound.
  virtual absl::StatusOr<std::uint64_t> StoredBytes(const Sha256Digest& digest) = 0;

  // Forgets a blob; ok when it was not there.
  virtual absl::Status Remove(const Sha256Digest& digest) = 0;
};

}  // namespace slipway::artifacts
