#include "common/mask/secret_forms.h"

#include <algorithm>
#include <cstdint>

namespace slipway::mask {
namespace {

constexpr std::size_t kMinEmbedded = 8;

constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// The characters that `bytes`, standing `shift` bytes after a multiple of three, decides
// completely.
std::string Base64Core(std::string_view bytes, std::size_t shift, std::string_view alphabet) {
  std::string out;
  const std::size_t bits = 8 * (shift + bytes.size());
  for (std::size_t at = (8 * shift + 5) / 6; 6 * (at + 1) <= bits; ++at) {
    unsigned value = 0;
    for (std::size_t bit = 6 * at; bit < 6 * at + 6; ++bit) {
      const auto byte = static_cast<std::uint8_t>(bytes[bit / 8 - shift]);
      value = value << 1 | ((byte >> (7 - bit % 8)) & 1U);
    }
    out.push_back(alphabet[value]);
  }
  return out;
}

void AddBase64(std::string_view bytes, std::vector<std::string>& out) {
  for (const std::string_view alphabet : {kStandard, kUrl}) {
    const std::string padded_input = std::string(bytes) + std::string(2, '\0');
    const std::size_t characters = (8 * bytes.size() + 5) / 6;
    std::string whole = Base64Core(padded_input, 0, alphabet).substr(0, characters);
    out.push_back(whole);
    if (whole.size() % 4 != 0) out.push_back(whole.append(4 - whole.size() % 4, '='));
    if (bytes.size() < kMinEmbedded) continue;
    for (std::size_t shift = 0; shift < 3; ++shift) {
      out.push_back(Base64Core(bytes, shift, alphabet));
    }
  }
}

std::string PercentEncode(std::string_view bytes, std::string_view digits, std::string_view space) {
  std::string out;
  for (const char c : bytes) {
    const auto u = static_cast<std::uint8_t>(c);
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out.push_back(c);
    } else if (c == ' ') {
      out.append(space);
    } else {
      out.append({'%', digits[u >> 4], digits[u & 15]});
    }
  }
  return out;
}

std::string JsonEscape(std::string_view bytes, bool escape_slash) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '/': out += escape_slash ? "\\/" : "/"; break;
      default:
        if (static_cast<std::uint8_t>(c) < 0x20) {
          out += "\\u00";
          out += {kDigits[static_cast<std::uint8_t>(c) >> 4], kDigits[c & 15]};
        } else {
          out.push_back(c);
        }
    }
  }
  return out;
}

void AddEscaped(std::string_view value, std::vector<std::string>& out) {
  out.push_back(PercentEncode(value, "0123456789ABCDEF", "%20"));
  out.push_back(PercentEncode(value, "0123456789abcdef", "%20"));
  out.push_back(PercentEncode(value, "0123456789ABCDEF", "+"));
  out.push_back(JsonEscape(value, false));
  out.push_back(JsonEscape(value, true));
}

void AddWhole(std::string_view value, std::vector<std::string>& out) {
  if (value.size() < kMinSecret || value.size() > kMaxSecret) return;
  out.emplace_back(value);
  AddBase64(value, out);
  AddEscaped(value, out);
}

}  // namespace

std::vector<std::string> SecretForms(std::string_view secret) {
  std::vector<std::string> out;
  AddWhole(secret, out);
  AddWhole(secret.substr(0, secret.find_last_not_of("\r\n") + 1), out);
  for (std::size_t at = 0; at < secret.size();) {
    const std::size_t end = std::min(secret.find_first_of("\r\n", at), secret.size());
    const std::string_view line = secret.substr(at, end - at);
    if (line.size() >= kMinSecret && line.size() <= kMaxSecret) {
      out.emplace_back(line);
      AddEscaped(line, out);
    }
    at = end + 1;
  }
  std::erase_if(out, [](const std::string& form) { return form.size() < kMinSecret; });
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace slipway::mask
