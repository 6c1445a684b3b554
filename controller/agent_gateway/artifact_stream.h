#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

#include "absl/status/status.h"
#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/rpc/convert.h"
#include "common/status/status.h"
#include "controller/artifacts/artifact_archive.h"

namespace slipway::agent_gateway {

// Bytes of a blob or manifest in one message.
inline constexpr std::size_t kPieceBytes = 256 * 1024;

// Writes an artifact the way FetchArtifactResponse and DownloadResponse say: the manifest in parts,
// then every distinct blob's stored frame in pieces; small blobs share a message. kNotFound as
// Find; kCancelled when `write` says so by false.
template <typename Response, typename Write>
absl::Status StreamArtifact(artifacts::ArtifactArchive& archive, const ApplicationId& application,
                            const Sha256Digest& manifest_digest, const Write& write) {
  const absl::Status gone = absl::CancelledError("the reader has left");
  SLIPWAY_ASSIGN_OR_RETURN(const auto manifest, archive.LoadManifest(application, manifest_digest));
  Response response;
  const std::string encoded = manifest.Encode();
  for (std::size_t at = 0; at < encoded.size(); at += kPieceBytes) {
    response.set_manifest_part(encoded.substr(at, kPieceBytes));
    if (!write(response)) return gone;
  }
  response.Clear();
  std::size_t pending = 0;
  std::string buffer(kPieceBytes, '\0');
  for (const manifest::BlobRef& blob : manifest::DistinctBlobs(manifest)) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto frame, archive.OpenFrame(blob.digest));
    bool first = true;
    while (true) {
      SLIPWAY_ASSIGN_OR_RETURN(const std::size_t n, frame->Read({buffer.data(), buffer.size()}));
      v1::BlobPiece* piece = response.add_pieces();
      if (first) {
        piece->set_digest(rpc::ToProto(blob.digest));
        piece->set_size(blob.size);
        first = false;
      }
      piece->set_zstd(buffer.data(), n);
      piece->set_last(n == 0);
      pending += n + 64;
      if (pending >= kPieceBytes) {
        if (!write(response)) return gone;
        response.Clear();
        pending = 0;
      }
      if (n == 0) break;
    }
  }
  if (pending > 0 && !write(response)) return gone;
  return absl::OkStatus();
}

}  // namespace slipway::agent_gateway
