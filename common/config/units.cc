#include "common/config/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

#include "common/status/status.h"

namespace slipway::config {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kMaxSize = std::int64_t{1} << 62;
constexpr std::int64_t kMaxMillis = std::int64_t{3653} * 24 * 3600 * 1000;

struct Unit {
  std::string_view name;
  std::int64_t factor;
};
constexpr std::array<Unit, 5> kTimeUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 10> kSizeUnits{{{"", 1},
                                           {"B", 1},
                                           {"KiB", 1LL << 10},
                                           {"MiB", 1LL << 20},
                                           {"GiB", 1LL << 30},
                                           {"TiB", 1LL << 40},
                                           {"kB", 1'000},
                                           {"KB", 1'000},
                                           {"MB", 1'000'000},
                                           {"GB", 1'000'000'000}}};
constexpr Unit kTerabyte{"TB", 1'000'000'000'000};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes the digits at the front of `text`. nullopt: none, or more than 15 of them.
std::optional<std::int64_t> TakeNumber(std::string_view& text) {
  std::size_t end = 0;
  while (end < text.size() && IsDigit(text[end])) ++end;
  if (end == 0 || end > 15) return std::nullopt;
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + end, value);
  text.remove_prefix(end);
  return value;
}

absl::Status BadDuration(std::string_view text) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, "",
      fmt::format("'{}' is not a duration; write it like 90s, 20m or 1h30m", text.substr(0, 64)));
}

absl::Status BadSize(std::string_view text) {
  return MakeError(
      absl::StatusCode::kInvalidArgument, "",
      fmt::format("'{}' is not a size; write it like 512MiB, 2GiB or 1GB", text.substr(0, 64)));
}

std::optional<std::int64_t> SizeFactor(std::string_view unit) {
  for (const Unit& known : kSizeUnits) {
    if (known.name == unit) return known.factor;
  }
  if (unit == kTerabyte.name) return kTerabyte.factor;
  return std::nullopt;
}

}  // namespace

absl::StatusOr<Duration> ParseDuration(std::string_view text) {
  std::string_view rest = text;
  std::int64_t total = 0;
  std::size_t next_unit = 0;
  if (rest.empty()) return BadDuration(text);
  while (!rest.empty()) {
    const auto number = TakeNumber(rest);
    if (!number) return BadDuration(text);
    std::size_t letters = 0;
    while (letters < rest.size() && !IsDigit(rest[letters])) ++letters;
    const std::string_view name = rest.substr(0, letters);
    rest.remove_prefix(letters);
    while (next_unit < kTimeUnits.size() && kTimeUnits[next_unit].name != name) ++next_unit;
    if (next_unit == kTimeUnits.size()) return BadDuration(text);
    const std::int64_t factor = kTimeUnits[next_unit++].factor;
    if (*number > kMaxMillis / factor) return BadDuration(text);
    total += *number * factor;
    if (total > kMaxMillis) return BadDuration(text);
  }
  return Duration(milliseconds(total));
}

std::string FormatDuration(Duration duration) {
  std::int64_t rest = std::chrono::duration_cast<milliseconds>(duration).count();
  if (rest <= 0) return "0s";
  std::string text;
  for (const Unit& unit : kTimeUnits) {
    if (rest >= unit.factor) text += fmt::format("{}{}", rest / unit.factor, unit.name);
    rest %= unit.factor;
  }
  return text;
}

absl::StatusOr<std::int64_t> ParseSize(std::string_view text) {
  std::string_view rest = text;
  const auto whole = TakeNumber(rest);
  if (!whole) return BadSize(text);
  std::int64_t fraction = 0;
  std::int64_t fraction_scale = 1;
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    const std::size_t before = rest.size();
    const auto digits = TakeNumber(rest);
    if (!digits || before - rest.size() > 6) return BadSize(text);
    fraction = *digits;
    for (std::size_t i = rest.size(); i < before; ++i) fraction_scale *= 10;
  }
  const auto factor = SizeFactor(rest);
  if (!factor || (fraction != 0 && *factor == 1)) return BadSize(text);
  if (*whole > kMaxSize / *factor) return BadSize(text);
  // fraction < 10^6 and factor ≤ 2^40: the product fits.
  const std::int64_t bytes = *whole * *factor + fraction * *factor / fraction_scale;
  if (bytes > kMaxSize) return BadSize(text);
  return bytes;
}

std::string FormatSize(std::int64_t bytes) {
  constexpr std::array<Unit, 4> kUnits{
      {{"TiB", 1LL << 40}, {"GiB", 1LL << 30}, {"MiB", 1LL << 20}, {"KiB", 1LL << 10}}};
  for (const Unit& unit : kUnits) {
    if (bytes < unit.factor) continue;
    if (bytes % unit.factor == 0) return fmt::format("{}{}", bytes / unit.factor, unit.name);
    return fmt::format("{:.1f}{}", static_cast<double>(bytes) / static_cast<double>(unit.factor),
                       unit.name);
  }
  return fmt::format("{}B", bytes);
}

}  // namespace slipway::config
