#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/fs/unique_fd.h"
#include "controller/artifacts/blob_store.h"

namespace slipway::artifacts {

// Blobs as files: blobs/ab/ab12….zst below one directory, each one zstd frame. New ones are written
// to incoming/, synced, and only then renamed, so that a name in blobs/ is always whole, whenever
// the machine loses power. A batch is synced as a whole: file by file when they are few, by one
// syncfs when they are many.
//
// One process at a time owns the directory. Thread-safe.
class DirectoryBlobStore final : public BlobStore {
 public:
  // Makes the directory's parts where they are missing and removes what an earlier process left
  // unfinished. REQUIRES: the parent of `path` exists.
  static absl::StatusOr<std::unique_ptr<DirectoryBlobStore>> Open(const std::string& path);

  absl::StatusOr<std::vector<bool>> Has(std::span<const Sha256Digest> digests) override;
  absl::StatusOr<std::unique_ptr<BlobBatch>> NewBatch() override;
  absl::StatusOr<std::unique_ptr<fs::ByteReader>> Open(const Sha256Digest& digest) override;
  absl::StatusOr<std::unique_ptr<fs::ByteReader>> OpenFrame(const Sha256Digest& digest) override;
  absl::StatusOr<std::uint64_t> StoredBytes(const Sha256Digest& digest) override;
  absl::Status Remove(const Sha256Digest& digest) override;

 private:
  class Batch;

  DirectoryBlobStore(fs::UniqueFd incoming, fs::UniqueFd blobs);

  // Constant after construction.
  const fs::UniqueFd incoming_;
  const fs::UniqueFd blobs_;
  // Own synchronisation.
  std::atomic<std::uint64_t> next_name_{0};
};

}  // namespace slipway::artifacts
