#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace slipway::qr {

// The dark and light modules of one QR code, without quiet zone. Thread-compatible.
class QrMatrix {
 public:
  // REQUIRES: dark.size() == width * width, row by row from the top.
  QrMatrix(int width, std::vector<bool> dark);

  [[nodiscard]] int width() const { return width_; }
  // False outside of the code, so that a renderer need not treat the quiet zone as a special case.
  [[nodiscard]] bool dark(int x, int y) const {
    return x >= 0 && y >= 0 && x < width_ && y < width_ &&
           dark_[static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) +
                 static_cast<std::size_t>(x)];
  }

 private:
  int width_;
  std::vector<bool> dark_;
};

// Light modules that every reader needs around a code.
inline constexpr int kQuietZone = 4;

// The smallest code that holds `text` as bytes with error correction M (15 %). kInvalidArgument
// (QR_TOO_LONG): more than 2331 bytes, or none.
absl::StatusOr<QrMatrix> Encode(std::string_view text);

enum class TerminalStyle {
  kUtf8,   // half blocks, two rows of modules per line, colours set explicitly
  kPlain,  // the same blocks without colours: for files and for whoever wants none
  kAscii,  // two characters per module, '#' for dark: for logs and old terminals
};

// Lines to print. kUtf8 sets black on white itself, so that it scans on dark and light terminals
// alike; the others hold no escape sequence and need a light background.
std::string RenderTerminal(const QrMatrix& matrix, TerminalStyle style);

// A black-and-white PNG, `scale` pixels per module (1 to 64).
absl::StatusOr<std::string> RenderPng(const QrMatrix& matrix, int scale = 8);

// An SVG document that scales to wherever it stands.
std::string RenderSvg(const QrMatrix& matrix);

}  // namespace slipway::qr
