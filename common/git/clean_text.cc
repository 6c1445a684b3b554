#include "common/git/clean_text.h"

#include <cstdint>

namespace slipway::git {
namespace {

struct Decoded {
  char32_t code = 0;
  std::size_t length = 0;  // 0: no UTF-8 begins here
};

Decoded Decode(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const std::uint32_t lead = at(0);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xc2 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
  if (length == 0 || length > text.size()) return {};
  if (length == 1) return {lead, 1};
  char32_t code = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0U) != 0x80U) return {};
    code = (code << 6U) | (at(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (overlong || surrogate || code > 0x10ffff) return {};
  return {code, length};
}

// Acts on what stands around it instead of being seen.
bool IsUnseen(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c ||
         code == 0x180e || code == 0xfeff || (code >= 0x200b && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
         (code >= 0xfff9 && code <= 0xfffb) || (code >= 0xe0000 && code <= 0xe007f);
}

}  // namespace

std::string CleanText(std::string_view bytes, std::size_t max, TextLines lines) {
  std::string clean;
  while (!bytes.empty()) {
    const Decoded next = Decode(bytes);
    const bool kept = next.length > 0 &&
                      (!IsUnseen(next.code) ||
                       (lines == TextLines::kMany && (next.code == U'\n' || next.code == U'\t')));
    const std::size_t taken = next.length > 0 ? next.length : 1;
    if (clean.size() + (kept ? taken : 1) > max) break;
    if (kept) {
      clean += bytes.substr(0, taken);
    } else {
      clean += '?';
    }
    bytes.remove_prefix(taken);
  }
  return clean;
}

}  // namespace slipway::git
