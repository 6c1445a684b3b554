#include "common/manifest/tree_receiver.h"

#include <fmt/format.h>

#include <utility>

#include "common/crypto/hash.h"
#include "common/status/status.h"

namespace slipway::manifest {

using absl::StatusCode;

TreeReceiver::TreeReceiver(std::string path, const Sha256Digest& digest,
                           const ManifestLimits& limits)
    : path_(std::move(path)), digest_(digest), limits_(limits) {}

absl::Status TreeReceiver::AcceptManifest(std::string_view part) {
  if (writer_ != nullptr) {
    return MakeError(StatusCode::kInvalidArgument, "", "a manifest part behind the first blob");
  }
  if (part.size() > limits_.max_encoded_bytes - text_.size()) {
    return MakeError(
        StatusCode::kResourceExhausted, "MANIFEST_TOO_LARGE",
        fmt::format("the manifest is larger than {} bytes", limits_.max_encoded_bytes));
  }
  text_ += part;
  return absl::OkStatus();
}

absl::Status TreeReceiver::OpenWriter() {
  if (writer_ != nullptr) return absl::OkStatus();
  if (crypto::Sha256Of(text_) != digest_) {
    return MakeError(StatusCode::kDataLoss, "MANIFEST_CORRUPT",
                     fmt::format("the manifest is not {}", digest_.ToString()), "Fetch it again.");
  }
  SLIPWAY_ASSIGN_OR_RETURN(Manifest manifest, Manifest::Parse(text_, limits_));
  text_ = std::string();
  manifest_ = std::make_unique<Manifest>(std::move(manifest));
  SLIPWAY_ASSIGN_OR_RETURN(TreeWriter writer, TreeWriter::Create(path_, *manifest_));
  writer_ = std::make_unique<TreeWriter>(std::move(writer));
  return absl::OkStatus();
}

absl::Status TreeReceiver::Accept(const BlobPiece& piece) {
  SLIPWAY_RETURN_IF_ERROR(OpenWriter());
  return writer_->Accept(piece);
}

absl::StatusOr<Manifest> TreeReceiver::Finish() {
  SLIPWAY_RETURN_IF_ERROR(OpenWriter());
  SLIPWAY_RETURN_IF_ERROR(writer_->Finish());
  writer_.reset();
  return std::move(*manifest_);
}

}  // namespace slipway::manifest
