#include "common/qr/qr_code.h"

#include <fmt/format.h>
#include <qrencode.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "common/base/check.h"
#include "common/status/status.h"

namespace slipway::qr {
namespace {

constexpr std::size_t kMaxBytes = 2331;  // version 40, level M, bytes

struct FreeCode {
  void operator()(QRcode* code) const { QRcode_free(code); }
};

}  // namespace

QrMatrix::QrMatrix(int width, std::vector<bool> dark) : width_(width), dark_(std::move(dark)) {
  SLIPWAY_CHECK(dark_.size() == static_cast<std::size_t>(width) * static_cast<std::size_t>(width));
}

absl::StatusOr<QrMatrix> Encode(std::string_view text) {
  if (text.empty() || text.size() > kMaxBytes) {
    return MakeError(absl::StatusCode::kInvalidArgument, "QR_TOO_LONG",
                     fmt::format("a QR code holds 1 to {} bytes, not {}", kMaxBytes, text.size()));
  }
  const std::unique_ptr<QRcode, FreeCode> code(
      QRcode_encodeData(static_cast<int>(text.size()),
                        reinterpret_cast<const unsigned char*>(text.data()), 0, QR_ECLEVEL_M));
  if (code == nullptr) return ErrnoError(errno, "make a QR code");
  const auto modules =
      static_cast<std::size_t>(code->width) * static_cast<std::size_t>(code->width);
  std::vector<bool> dark(modules);
  // The lowest bit of a module is its colour; the others tell what it is for.
  for (std::size_t i = 0; i < modules; ++i) dark[i] = (code->data[i] & 1) != 0;
  return QrMatrix(code->width, std::move(dark));
}

}  // namespace slipway::qr
