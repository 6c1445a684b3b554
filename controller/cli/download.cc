#include "controller/cli/download.h"

#include <filesystem>
#include <optional>
#include <utility>

#include "common/manifest/tree_receiver.h"
#include "common/status/status.h"
#include "controller/cli/exit_code.h"

namespace slipway::cli {
namespace {

// From the wire's pieces, which name their blob only in the first one, to the receiver's.
class PieceReader {
 public:
  absl::Status Take(const v1::BlobPiece& piece, manifest::TreeReceiver& receiver) {
    if (!inside_) {
      const auto digest = Sha256Digest::FromBytes(piece.digest());
      if (!digest) {
        return MakeError(absl::StatusCode::kDataLoss, "BLOB_CORRUPT",
                         "the controller sent a blob without its digest");
      }
      blob_ = {*digest, piece.size()};
    }
    inside_ = !piece.last();
    if (piece.last()) received_ += blob_.size;
    return receiver.Accept({blob_, piece.zstd(), piece.last()});
  }

  // Of the files that came whole, as they are on disk.
  [[nodiscard]] std::uint64_t received() const { return received_; }

 private:
  manifest::BlobRef blob_{};
  std::uint64_t received_ = 0;
  bool inside_ = false;
};

}  // namespace

absl::StatusOr<manifest::Manifest> Download(
    const Client& client, const std::string& name, const Sha256Digest& digest,
    const std::string& path, const RetryOptions& retry,
    const std::function<void(std::uint64_t received)>& progress) {
  std::optional<manifest::Manifest> manifest;
  const absl::Status status = RetryStream(
      client, retry, client.stop(), [](const absl::Status&) {},
      [&](const std::function<void()>& received) -> absl::Status {
        std::error_code failed;
        std::filesystem::remove_all(path, failed);
        grpc::ClientContext context;
        client.Prepare(context, 0);
        const std::stop_callback cancel(client.stop(), [&context] { context.TryCancel(); });
        v1::DownloadRequest request;
        request.set_name(name);
        const auto reader = client.releases().Download(&context, request);
        manifest::TreeReceiver receiver(path, digest);
        PieceReader pieces;
        absl::Status wrong;
        v1::DownloadResponse response;
        while (wrong.ok() && reader->Read(&response)) {
          received();
          if (!response.manifest_part().empty()) {
            wrong = receiver.AcceptManifest(response.manifest_part());
          }
          for (const v1::BlobPiece& piece : response.pieces()) {
            if (!wrong.ok()) break;
            wrong = pieces.Take(piece, receiver);
          }
          progress(pieces.received());
        }
        if (!wrong.ok()) {
          context.TryCancel();
          (void)reader->Finish();
          return wrong;
        }
        SLIPWAY_RETURN_IF_ERROR(client.Outcome(context, reader->Finish()));
        SLIPWAY_ASSIGN_OR_RETURN(manifest, receiver.Finish());
        return absl::OkStatus();
      });
  SLIPWAY_RETURN_IF_ERROR(status);
  return *std::move(manifest);
}

}  // namespace slipway::cli
