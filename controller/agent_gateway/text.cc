#include "controller/agent_gateway/text.h"

#include <cstdint>

namespace slipway::agent_gateway {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Length of the well-formed UTF-8 character at the start of `text` (Unicode 15, table 3-7); 0:
// there is none.
std::size_t CharacterLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return first == 0 ? 0 : 1;
  std::size_t length = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
  }
  if (length == 0 || text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  return length;
}

}  // namespace

std::string StorableText(std::string_view text, std::size_t max_bytes) {
  std::string storable;
  storable.reserve(text.size() < max_bytes ? text.size() : max_bytes);
  while (!text.empty()) {
    const std::size_t length = CharacterLength(text);
    const std::string_view next = length == 0 ? kReplacement : text.substr(0, length);
    if (storable.size() + next.size() > max_bytes) break;
    storable += next;
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return storable;
}

}  // namespace slipway::agent_gateway
