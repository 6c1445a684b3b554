#include "common/compression/zstd.h"

#include <fmt/format.h>
#include <zstd.h>

#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/status/status.h"

namespace slipway::compression {
namespace {

constexpr int kMaxWindowLog = 23;
// How much of a large input is tried before the level of its frame is chosen.
constexpr std::size_t kSampleBytes = std::size_t{16} << 10;
constexpr std::uint64_t kWorthASample = std::uint64_t{64} << 10;
// For what does not get smaller, as pictures and archives do not: nearly a copy.
constexpr int kFastLevel = -7;

bool GetsSmaller(std::string_view sample) {
  std::vector<char> out(ZSTD_compressBound(sample.size()));
  const std::size_t size = ZSTD_compress(out.data(), out.size(), sample.data(), sample.size(), 1);
  return ZSTD_isError(size) != 0 || size < sample.size() - sample.size() / 32;
}

}  // namespace

struct ZstdCompressor::Context {
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> zstd{ZSTD_createCCtx(), ZSTD_freeCCtx};
  std::vector<char> out = std::vector<char>(ZSTD_CStreamOutSize());
  int level = 3;
  std::uint64_t size = 0;  // of the frame
  bool begun = false;

  void ChooseLevel(std::string_view first) {
    const bool large = size >= kWorthASample && first.size() >= kSampleBytes;
    const bool fast = large && !GetsSmaller(first.substr(0, kSampleBytes));
    ZSTD_CCtx_setParameter(zstd.get(), ZSTD_c_compressionLevel, fast ? kFastLevel : level);
  }

  absl::Status Run(std::string_view bytes, ZSTD_EndDirective directive, const ByteSink& sink) {
    ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
    while (true) {
      ZSTD_outBuffer output{out.data(), out.size(), 0};
      const std::size_t left = ZSTD_compressStream2(zstd.get(), &output, &input, directive);
      absl::Status status;
      if (ZSTD_isError(left) != 0) {
        status = MakeError(absl::StatusCode::kInternal, "",
                           fmt::format("zstd: {}", ZSTD_getErrorName(left)));
      } else if (output.pos > 0) {
        status = sink({out.data(), output.pos});
      }
      SLIPWAY_RETURN_IF_ERROR(status);
      const bool done = directive == ZSTD_e_end ? left == 0 : input.pos == input.size;
      if (done) return absl::OkStatus();
    }
  }
};

ZstdCompressor::ZstdCompressor(int level) : context_(std::make_unique<Context>()) {
  SLIPWAY_CHECK(context_->zstd != nullptr);
  SLIPWAY_CHECK(level >= 1 && level <= 19);
  context_->level = level;
  ZSTD_CCtx_setParameter(context_->zstd.get(), ZSTD_c_windowLog, 21);
}
ZstdCompressor::~ZstdCompressor() = default;
ZstdCompressor::ZstdCompressor(ZstdCompressor&&) noexcept = default;
ZstdCompressor& ZstdCompressor::operator=(ZstdCompressor&&) noexcept = default;

void ZstdCompressor::Begin(std::uint64_t size) {
  ZSTD_CCtx_reset(context_->zstd.get(), ZSTD_reset_session_only);
  ZSTD_CCtx_setPledgedSrcSize(context_->zstd.get(), size);
  context_->size = size;
  context_->begun = false;
}

absl::Status ZstdCompressor::Append(std::string_view bytes, const ByteSink& sink) {
  if (!std::exchange(context_->begun, true)) context_->ChooseLevel(bytes);
  return context_->Run(bytes, ZSTD_e_continue, sink);
}

absl::Status ZstdCompressor::Finish(const ByteSink& sink) {
  return context_->Run({}, ZSTD_e_end, sink);
}

struct ZstdDecompressor::Context {
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> zstd{ZSTD_createDCtx(), ZSTD_freeDCtx};
  std::vector<char> out = std::vector<char>(ZSTD_DStreamOutSize());
  bool done = false;
};

ZstdDecompressor::ZstdDecompressor() : context_(std::make_unique<Context>()) {
  SLIPWAY_CHECK(context_->zstd != nullptr);
  ZSTD_DCtx_setParameter(context_->zstd.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
}
ZstdDecompressor::~ZstdDecompressor() = default;
ZstdDecompressor::ZstdDecompressor(ZstdDecompressor&&) noexcept = default;
ZstdDecompressor& ZstdDecompressor::operator=(ZstdDecompressor&&) noexcept = default;

absl::Status ZstdDecompressor::Append(std::string_view bytes, const ByteSink& sink) {
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  // With the input used up, a full output buffer may still hide more.
  bool more = false;
  while (input.pos < input.size || more) {
    if (context_->done) {
      return MakeError(absl::StatusCode::kInvalidArgument, "",
                       "bytes behind the end of the zstd frame");
    }
    ZSTD_outBuffer output{context_->out.data(), context_->out.size(), 0};
    const std::size_t hint = ZSTD_decompressStream(context_->zstd.get(), &output, &input);
    if (ZSTD_isError(hint) != 0) {
      return MakeError(absl::StatusCode::kInvalidArgument, "",
                       fmt::format("zstd: {}", ZSTD_getErrorName(hint)));
    }
    context_->done = hint == 0;
    if (output.pos > 0) SLIPWAY_RETURN_IF_ERROR(sink({context_->out.data(), output.pos}));
    more = !context_->done && output.pos == output.size;
  }
  return absl::OkStatus();
}

bool ZstdDecompressor::done() const { return context_->done; }

void ZstdDecompressor::Reset() {
  ZSTD_DCtx_reset(context_->zstd.get(), ZSTD_reset_session_only);
  context_->done = false;
}

}  // namespace slipway::compression
