#include "controller/domain/audit.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace slipway::domain {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";
constexpr char32_t kBad = 0xfffd;

struct Character {
  char32_t code;
  std::size_t length;
};

// The first character of `text`, which is not empty; kBad of length 1 for a byte that begins none.
Character FirstOf(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = at(0);
  if (lead == 0) return {kBad, 1};
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead < 0xc2   ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
  if (length == 0 || text.size() < length) return {kBad, 1};
  char32_t code = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return {kBad, 1};
    code = (code << 6) | (at(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (overlong || surrogate || code > 0x10ffff) return {kBad, 1};
  return {code, length};
}

// What a reader of the raw line would not see as what it is.
bool MustBeEscaped(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0xfeff ||
         (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f);
}

bool IsPlain(char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  return byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\';
}

void AppendEscape(std::string& json, char32_t code) {
  constexpr std::array<char, 17> kDigits{"0123456789abcdef"};
  json += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) json += kDigits[(code >> shift) & 0xfU];
}

void AppendField(std::string& json, std::string_view key, std::string_view value) {
  json += ",\"";
  json += key;
  json += "\":";
  AppendJsonText(json, value);
}

}  // namespace

std::string StorableText(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) > 0; }))
    return std::string(text);
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const auto [code, length] = FirstOf(text);
    if (code == kBad) {
      clean += kReplacement;
    } else {
      clean += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return clean;
}

void AppendJsonText(std::string& json, std::string_view text) {
  json += '"';
  while (!text.empty()) {
    std::size_t plain = 0;
    while (plain < text.size() && IsPlain(text[plain])) ++plain;
    json += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto [code, length] = FirstOf(text);
    if (code == '"' || code == '\\') {
      json += '\\';
      json += static_cast<char>(code);
    } else if (code == kBad) {
      json += kReplacement;
    } else if (MustBeEscaped(code)) {
      AppendEscape(json, code);
    } else {
      json += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  json += '"';
}

std::string CanonicalEntry(const AuditEntry& entry, std::int64_t at) {
  std::string json;
  json.reserve(320);
  json += R"({"v":1,"at":)";
  json += std::to_string(at);
  AppendField(json, "actor", entry.actor);
  AppendField(json, "from", entry.from);
  AppendField(json, "action", entry.action);
  AppendField(json, "object", entry.object);
  AppendField(json, "subject", entry.subject);
  AppendField(json, "outcome", entry.reason.empty() ? "done" : "refused");
  if (!entry.reason.empty()) AppendField(json, "reason", entry.reason);
  if (!entry.before.empty()) AppendField(json, "before", entry.before);
  if (!entry.after.empty()) AppendField(json, "after", entry.after);
  for (const auto& [key, value] : entry.details) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      AppendField(json, key, *text);
    } else {
      json += ",\"";
      json += key;
      json += "\":";
      json += std::to_string(std::get<std::int64_t>(value));
    }
  }
  json += '}';
  return json;
}

}  // namespace slipway::domain
