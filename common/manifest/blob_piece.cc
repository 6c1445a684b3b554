#include "common/manifest/blob_piece.h"

#include <fmt/format.h>

#include "common/status/status.h"

namespace slipway::manifest {
namespace {

absl::Status Corrupt(const BlobRef& blob, std::string_view why) {
  return MakeError(absl::StatusCode::kDataLoss, "BLOB_CORRUPT",
                   fmt::format("blob {} {}", blob.digest.ToString(), why));
}

}  // namespace

absl::Status BlobVerifier::Accept(const BlobPiece& piece, const compression::ByteSink& sink) {
  if (!inside_) {
    blob_ = piece.blob;
    received_ = 0;
    inside_ = true;
    zstd_.Reset();
  } else if (piece.blob != blob_) {
    return Corrupt(blob_, "was interrupted by another one");
  }
  absl::Status refused;
  const absl::Status status = zstd_.Append(piece.zstd, [&](std::string_view bytes) {
    received_ += bytes.size();
    if (received_ > blob_.size) {
      refused = Corrupt(blob_, fmt::format("is larger than its {} bytes", blob_.size));
      return refused;
    }
    hasher_.Update(bytes);
    refused = sink(bytes);
    return refused;
  });
  if (!refused.ok()) return refused;
  if (!status.ok())
    return Corrupt(blob_, fmt::format("cannot be unpacked: {}", std::string(status.message())));
  if (!piece.last) return absl::OkStatus();
  inside_ = false;
  if (!zstd_.done()) return Corrupt(blob_, "was cut off");
  if (received_ != blob_.size) {
    return Corrupt(blob_, fmt::format("has {} bytes instead of {}", received_, blob_.size));
  }
  if (hasher_.Finish() != blob_.digest) return Corrupt(blob_, "has another content");
  return absl::OkStatus();
}

}  // namespace slipway::manifest
