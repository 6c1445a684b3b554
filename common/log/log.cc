#include "common/log/log.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include "common/base/time.h"

namespace slipway::log {
namespace {

constexpr std::size_t kMaxValueBytes = 2048;
constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warn", "error"};

std::atomic<Level> g_level{Level::kInfo};

bool IsPlain(unsigned char c) { return c > 0x20 && c != '"' && c != '\\' && c != '=' && c != 0x7f; }

void AppendValue(std::string& out, std::string_view value) {
  const bool cut = value.size() > kMaxValueBytes;
  if (cut) value = value.substr(0, kMaxValueBytes);
  if (!value.empty() && !cut && std::all_of(value.begin(), value.end(), IsPlain)) {
    out.append(value);
    return;
  }
  out.push_back('"');
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out.append("\\n");
    } else if (byte < 0x20 || byte == 0x7f) {
      out.append(fmt::format("\\x{:02x}", byte));
    } else {
      out.push_back(c);
    }
  }
  out.append(cut ? "…\"" : "\"");
}

std::string Timestamp() {
  const std::int64_t micros = ToUnixMicros(SystemClock().Wall());
  const auto seconds = static_cast<time_t>(micros / 1'000'000);
  tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     micros % 1'000'000 / 1000);
}

}  // namespace

std::optional<Level> ParseLevel(std::string_view name) {
  const auto* const found = std::find(kLevelNames.begin(), kLevelNames.end(), name);
  if (found == kLevelNames.end()) return std::nullopt;
  return static_cast<Level>(found - kLevelNames.begin());
}

void SetLevel(Level level) { g_level.store(level, std::memory_order_relaxed); }

std::string FormatLine(Level level, std::string_view event, std::initializer_list<Field> fields) {
  std::string line = "level=";
  line.append(kLevelNames.at(static_cast<std::size_t>(level)));
  line.append(" event=").append(event);
  for (const auto& [key, value] : fields) {
    line.push_back(' ');
    line.append(key).push_back('=');
    AppendValue(line, value);
  }
  return line;
}

void Log(Level level, std::string_view event, std::initializer_list<Field> fields) {
  if (level < g_level.load(std::memory_order_relaxed)) return;
  std::string line = Timestamp() + ' ' + FormatLine(level, event, fields) + '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t written = write(STDERR_FILENO, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace slipway::log
