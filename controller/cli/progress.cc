#include "controller/cli/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "controller/cli/format.h"

namespace slipway::cli {
namespace {

constexpr std::uint64_t kWidth = 24;
// More often than this nobody sees it, and a slow terminal would slow the transfer.
constexpr Duration kPause = std::chrono::milliseconds(100);

}  // namespace

std::string DrawProgress(std::uint64_t done, std::uint64_t total, Text text) {
  if (total == 0) {
    return fmt::format(fmt::runtime(text("{} received …", "已接收 {} ……")), FormatBytes(done));
  }
  done = std::min(done, total);
  const double part = static_cast<double>(done) / static_cast<double>(total);
  const auto filled = static_cast<std::uint64_t>(part * kWidth);
  std::string bar;
  for (std::uint64_t i = 0; i < kWidth; ++i) bar += i < filled ? "#" : "·";
  return fmt::format(fmt::runtime(text("[{}] {:3.0f}%  {} of {}", "[{}] {:3.0f}%  {} / {}")), bar,
                     part * 100, FormatBytes(done), FormatBytes(total));
}

ProgressBar::~ProgressBar() {
  if (drawn_) out_ << "\r\x1b[K" << std::flush;
}

void ProgressBar::Show(std::uint64_t done, std::uint64_t total) {
  if (!terminal_) return;
  const MonoTime now = clock_.Mono();
  if (drawn_ && now - *drawn_ < kPause) return;
  drawn_ = now;
  out_ << '\r' << DrawProgress(done, total, text_) << "\x1b[K" << std::flush;
}

}  // namespace slipway::cli
