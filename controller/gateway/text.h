#pragma once

#include <algorithm>
#include <string>
#include <string_view>

// Text of HTTP headers, whose letters are ASCII. Thread-safe.
namespace slipway::gateway {

[[nodiscard]] constexpr char LowerAscii(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

[[nodiscard]] inline bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return LowerAscii(x) == LowerAscii(y); });
}

// Without blanks and tabs at either end.
[[nodiscard]] inline std::string_view Trim(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

// Calls `each` with the pieces between `separator`, until it returns false.
template <typename Each>
void ForEachPiece(std::string_view text, char separator, Each each) {
  while (true) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (!each(text.substr(0, end)) || end == text.size()) return;
    text.remove_prefix(end + 1);
  }
}

}  // namespace slipway::gateway
