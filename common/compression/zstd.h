#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// zstd, the one compression of blobs in transport and at rest.
namespace slipway::compression {

// Takes the next bytes of a result; an error ends the work and is returned to whoever feeds it.
using ByteSink = std::function<absl::Status(std::string_view bytes)>;

// Frames out of bytes that arrive in pieces, one after the other. Thread-compatible.
class ZstdCompressor {
 public:
  // Higher levels are smaller and slower: 1 to 19. A large frame whose first bytes do not get
  // smaller is nearly copied instead.
  explicit ZstdCompressor(int level = 3);
  ~ZstdCompressor();
  ZstdCompressor(ZstdCompressor&&) noexcept;
  ZstdCompressor& operator=(ZstdCompressor&&) noexcept;

  // Starts a frame of exactly `size` bytes and forgets an unfinished one. Knowing the size makes
  // small frames several times cheaper.
  void Begin(std::uint64_t size);
  absl::Status Append(std::string_view bytes, const ByteSink& sink);
  // kInternal: not the promised number of bytes.
  absl::Status Finish(const ByteSink& sink);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// The content of one frame that arrives in pieces. Memory is bounded whatever the frame says: it
// may ask for a window of at most 8 MiB. Thread-compatible.
class ZstdDecompressor {
 public:
  ZstdDecompressor();
  ~ZstdDecompressor();
  ZstdDecompressor(ZstdDecompressor&&) noexcept;
  ZstdDecompressor& operator=(ZstdDecompressor&&) noexcept;

  // kInvalidArgument: not zstd, or bytes behind the end of the frame.
  absl::Status Append(std::string_view bytes, const ByteSink& sink);
  // True when the frame has ended.
  [[nodiscard]] bool done() const;
  // Ready for the next frame.
  void Reset();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace slipway::compression
