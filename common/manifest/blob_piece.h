#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "absl/status/status.h"
#include "common/base/digest.h"
#include "common/compression/zstd.h"
#include "common/crypto/hash.h"
#include "common/manifest/manifest.h"

namespace slipway::manifest {

// How blobs travel: each as one zstd frame, cut into pieces that follow each other.
struct BlobPiece {
  BlobRef blob{};           // the same in every piece of the blob
  std::string_view zstd{};  // the next bytes of the frame; valid during the call only
  bool last = false;
};

// Checks blobs while their pieces arrive: whole frames, the promised size, the promised digest.
// Never hands on more than the promised size, so a small frame cannot become a huge file.
// Thread-compatible.
class BlobVerifier {
 public:
  // Passes the uncompressed bytes of the piece to `sink`, which must not keep them: they are
  // verified only when the last piece was accepted. kDataLoss (BLOB_CORRUPT): not the promised
  // blob, or another blob's piece in the middle of one. After an error the verifier is of no use.
  absl::Status Accept(const BlobPiece& piece, const compression::ByteSink& sink);

  // True between the first piece of a blob and its last one.
  [[nodiscard]] bool inside() const { return inside_; }

 private:
  compression::ZstdDecompressor zstd_;
  crypto::Sha256Hasher hasher_;
  BlobRef blob_;
  std::uint64_t received_ = 0;
  bool inside_ = false;
};

}  // namespace slipway::manifest
