#include <fmt/format.h>

#include "common/qr/qr_code.h"

namespace slipway::qr {
namespace {

// 256-colour black on white: what "white" of the basic 16 looks like is the user's theme.
constexpr std::string_view kBlackOnWhite = "\x1b[38;5;16;48;5;231m";
constexpr std::string_view kAsBefore = "\x1b[0m";

std::string RenderBlocks(const QrMatrix& matrix, bool coloured) {
  std::string text;
  for (int y = -kQuietZone; y < matrix.width() + kQuietZone; y += 2) {
    if (coloured) text += kBlackOnWhite;
    for (int x = -kQuietZone; x < matrix.width() + kQuietZone; ++x) {
      const bool upper = matrix.dark(x, y);
      const bool lower = matrix.dark(x, y + 1);
      text += upper ? (lower ? "█" : "▀") : (lower ? "▄" : " ");
    }
    if (coloured) text += kAsBefore;
    text += '\n';
  }
  return text;
}

std::string RenderAscii(const QrMatrix& matrix) {
  std::string text;
  for (int y = -kQuietZone; y < matrix.width() + kQuietZone; ++y) {
    for (int x = -kQuietZone; x < matrix.width() + kQuietZone; ++x) {
      text += matrix.dark(x, y) ? "##" : "  ";
    }
    text += '\n';
  }
  return text;
}

}  // namespace

std::string RenderTerminal(const QrMatrix& matrix, TerminalStyle style) {
  if (style == TerminalStyle::kAscii) return RenderAscii(matrix);
  return RenderBlocks(matrix, style == TerminalStyle::kUtf8);
}

std::string RenderSvg(const QrMatrix& matrix) {
  const int size = matrix.width() + 2 * kQuietZone;
  std::string path;
  for (int y = 0; y < matrix.width(); ++y) {
    for (int x = 0; x < matrix.width(); ++x) {
      if (!matrix.dark(x, y)) continue;
      // One rectangle per run of dark modules: neighbours would show hairlines.
      const int begin = x;
      while (matrix.dark(x, y)) ++x;
      path +=
          fmt::format("M{},{}h{}v1h-{}z", begin + kQuietZone, y + kQuietZone, x - begin, x - begin);
    }
  }
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {0}\" "
      "shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0,0h{0}v{0}H0z\"/>"
      "<path fill=\"#000\" d=\"{1}\"/></svg>\n",
      size, path);
}

}  // namespace slipway::qr
