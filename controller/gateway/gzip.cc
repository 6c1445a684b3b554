#include "controller/gateway/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>

#include "common/base/check.h"

namespace slipway::gateway {
namespace {

// zlib's way to say: with a gzip header.
constexpr int kGzipWindow = 15 + 16;
constexpr int kMemoryLevel = 8;

Bytef* Input(std::string_view bytes) {
  // zlib reads only, but its field is not const.
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));  // NOLINT
}

}  // namespace

std::string Gzip(std::string_view bytes) {
  z_stream stream{};
  SLIPWAY_CHECK(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, kMemoryLevel,
                             Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = Input(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  SLIPWAY_CHECK(result == Z_STREAM_END);
  return out;
}

absl::StatusOr<std::string> Gunzip(std::string_view bytes, std::size_t max_bytes) {
  z_stream stream{};
  SLIPWAY_CHECK(inflateInit2(&stream, kGzipWindow) == Z_OK);
  stream.next_in = Input(bytes);
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  std::array<char, 16 << 10> piece{};
  int result = Z_OK;
  while (result == Z_OK && out.size() <= max_bytes) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    result = inflate(&stream, Z_NO_FLUSH);
    out.append(piece.data(), piece.size() - stream.avail_out);
  }
  const bool rest = stream.avail_in > 0;
  inflateEnd(&stream);
  if (out.size() > max_bytes) {
    return absl::ResourceExhaustedError(
        fmt::format("unpacked, the message has more than the {} bytes that are taken", max_bytes));
  }
  if (result != Z_STREAM_END || rest) {
    return absl::InvalidArgumentError("the gzip data is damaged or cut off");
  }
  return out;
}

}  // namespace slipway::gateway
