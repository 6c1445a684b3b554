#include "controller/channels/texts.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <ctime>

namespace slipway::channels {

std::string SizeText(std::uint64_t bytes) {
  static constexpr std::array<const char*, 4> kUnits{"kB", "MB", "GB", "TB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1000;
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits.at(unit));
}

std::string TimeText(WallTime time) {
  const std::time_t seconds = ToUnixMicros(time) / 1'000'000;
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(seconds));
}

std::string HowToOpen(std::string_view cipher, const Words& words) {
  if (cipher.empty()) return {};
  return words(
      "The package is encrypted. Open it with your key or password: slipway archive open FILE, or "
      "openssl cms -decrypt -inform DER -in FILE.",
      "安装包已加密，请用您的私钥或密码打开：slipway archive open 文件，或 "
      "openssl cms -decrypt -inform DER -in 文件。");
}

std::string Escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string FactRows(const Facts& facts, const Words& words) {
  std::string rows;
  const auto row = [&](const char* label, const std::string& value) {
    if (value.empty()) return;
    rows += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", label, Escaped(value));
  };
  row(words("Application", "应用"), facts.application);
  row(words("Version", "版本"), facts.version);
  row(words("Platform", "平台"), facts.platform);
  row(words("Commit", "提交"), facts.commit);
  row(words("Description", "说明"), facts.description);
  row(words("Submitted by", "提交人"), facts.submitted_by);
  row(words("File", "文件"), fmt::format("{} ({})", facts.file_name, SizeText(facts.bytes)));
  row("SHA-256", facts.sha256.Hex());
  row(words("Encrypted with", "加密算法"), facts.cipher);
  row(words("Available until", "有效期至"), TimeText(facts.expires_at));
  return rows;
}

}  // namespace slipway::channels
