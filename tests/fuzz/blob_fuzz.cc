// Blobs on their way: pieces from anybody never give more than was promised and are accepted only
// as the promised content; honest ones arrive however they are cut.
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/compression/zstd.h"
#include "common/crypto/hash.h"
#include "common/manifest/blob_piece.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_target.h"

namespace slipway::fuzz {
namespace {

using manifest::BlobPiece;
using manifest::BlobRef;
using manifest::BlobVerifier;

constexpr std::size_t kMaxContent = std::size_t{1} << 20;

std::string Compress(std::string_view content) {
  std::string frame;
  const auto sink = [&](std::string_view bytes) {
    frame += bytes;
    return absl::OkStatus();
  };
  compression::ZstdCompressor zstd(1);
  zstd.Begin(content.size());
  SLIPWAY_CHECK(zstd.Append(content, sink).ok());
  SLIPWAY_CHECK(zstd.Finish(sink).ok());
  return frame;
}

// What a frame unpacks to, as far as it goes and at most kMaxContent.
std::string Decompress(std::string_view frame) {
  std::string content;
  compression::ZstdDecompressor zstd;
  (void)zstd.Append(frame, [&](std::string_view bytes) {
    content += bytes;
    return content.size() <= kMaxContent ? absl::OkStatus() : absl::CancelledError("enough");
  });
  return content;
}

// Sends `frame` as the blob in pieces; true: accepted, with its content in *content.
bool Receive(const BlobRef& blob, std::string_view frame, std::string_view sizes,
             std::string* content) {
  content->clear();
  BlobVerifier verifier;
  for (std::size_t i = 0;; ++i) {
    const std::size_t wanted =
        i < sizes.size() ? static_cast<unsigned char>(sizes[i]) : frame.size();
    const std::string_view bytes = frame.substr(0, wanted);
    frame.remove_prefix(bytes.size());
    const bool last = frame.empty();
    const BlobPiece piece{.blob = blob, .zstd = bytes, .last = last};
    const absl::Status status = verifier.Accept(piece, [&](std::string_view unpacked) {
      *content += unpacked;
      SLIPWAY_CHECK(content->size() <= blob.size);
      return absl::OkStatus();
    });
    if (!status.ok()) {
      SLIPWAY_CHECK(status.code() == absl::StatusCode::kDataLoss);
      return false;
    }
    SLIPWAY_CHECK(verifier.inside() == !last);
    if (last) return true;
  }
}

void Check(ByteSource in) {
  const bool honest = in.Flag();
  const std::string_view sizes = in.Bytes(in.Below(17));
  std::string received;
  if (honest) {
    const std::string_view content = in.Rest();
    const BlobRef blob{crypto::Sha256Of(content), content.size()};
    const std::string frame = Compress(content);
    SLIPWAY_CHECK(Receive(blob, frame, sizes, &received));
    SLIPWAY_CHECK(received == content);
    // Nothing may be missing at its end, and nothing may stand behind it.
    SLIPWAY_CHECK(
        !Receive(blob, std::string_view(frame).substr(0, frame.size() - 1), sizes, &received));
    SLIPWAY_CHECK(!Receive(blob, frame + "x", sizes, &received));
    return;
  }
  // As an attacker would: the digest of what the frame really holds, and a size of their choice.
  const auto promised_more = static_cast<std::int64_t>(in.Below(3)) - 1;
  const std::string_view frame = in.Rest();
  const std::string content = Decompress(frame);
  BlobRef blob{crypto::Sha256Of(content), content.size()};
  if (promised_more > 0) blob.size += 1;
  if (promised_more < 0 && blob.size > 0) blob.size -= 1;
  if (!Receive(blob, frame, sizes, &received)) return;
  SLIPWAY_CHECK(received.size() == blob.size);
  SLIPWAY_CHECK(crypto::Sha256Of(received) == blob.digest);
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  slipway::fuzz::Check({data, size});
  return 0;
}
