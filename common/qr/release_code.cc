#include "common/qr/release_code.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "common/status/status.h"

namespace slipway::qr {
namespace {

constexpr std::string_view kScheme = "slipway:release/";
constexpr std::string_view kUrlPart = "/r/";
constexpr std::size_t kMaxText = 4096;

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::string Escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (IsUnreserved(c)) {
      escaped += c;
    } else {
      escaped += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return escaped;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> Unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexValue(text[i + 1]);
    const int low = HexValue(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    plain += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return plain;
}

absl::Status Refuse(std::string_view why) {
  return MakeError(absl::StatusCode::kInvalidArgument, "NOT_A_RELEASE_CODE",
                   fmt::format("this is not the code of a release: {}", why));
}

// What stands behind "release/" or "/r/"; nullopt: neither form.
std::optional<std::string_view> AfterPrefix(std::string_view text) {
  if (text.starts_with(kScheme)) return text.substr(kScheme.size());
  if (!text.starts_with("https://") && !text.starts_with("http://")) return std::nullopt;
  // The last one before the query: a base URL may have a path of its own.
  const std::size_t part = text.substr(0, text.find('?')).rfind(kUrlPart);
  if (part == std::string_view::npos) return std::nullopt;
  return text.substr(part + kUrlPart.size());
}

}  // namespace

std::string FormatReleaseCode(const ReleaseCode& code, std::string_view base_url) {
  while (base_url.ends_with('/')) base_url.remove_suffix(1);
  const std::string prefix =
      base_url.empty() ? std::string(kScheme) : fmt::format("{}{}", base_url, kUrlPart);
  return fmt::format("{}{}?app={}&platform={}&version={}&digest={}", prefix,
                     Escape(code.release.value()), Escape(code.application), Escape(code.platform),
                     Escape(code.version), code.digest.ToString());
}

absl::StatusOr<ReleaseCode> ParseReleaseCode(std::string_view text) {
  if (text.size() > kMaxText) return Refuse("it is too long");
  const auto rest = AfterPrefix(text);
  if (!rest) return Refuse("it begins with neither \"slipway:release/\" nor a farm's address");
  const std::size_t question = rest->find('?');
  const auto id = Unescape(rest->substr(0, question));
  if (!id || id->empty() || id->find('/') != std::string::npos)
    return Refuse("it names no release");
  std::string_view query =
      question == std::string_view::npos ? std::string_view() : rest->substr(question + 1);

  std::array<std::pair<std::string_view, std::optional<std::string>>, 4> fields = {
      {{"app", {}}, {"platform", {}}, {"version", {}}, {"digest", {}}}};
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view parameter = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    const std::size_t equals = parameter.find('=');
    if (equals == std::string_view::npos) continue;
    for (auto& [name, value] : fields) {
      if (parameter.substr(0, equals) != name) continue;
      if (value) return Refuse(fmt::format("\"{}\" appears twice", name));
      value = Unescape(parameter.substr(equals + 1));
      if (!value) return Refuse(fmt::format("\"{}\" has a broken percent sign", name));
    }
  }
  for (const auto& [name, value] : fields) {
    if (!value || value->empty()) return Refuse(fmt::format("\"{}\" is missing", name));
  }
  const std::string& digest_text = *fields[3].second;
  const auto digest =
      digest_text.starts_with("sha256:") ? Sha256Digest::Parse(digest_text) : std::nullopt;
  if (!digest) return Refuse("\"digest\" is not sha256: and 64 hex digits");
  return ReleaseCode{.release = ReleaseId(*id),
                     .application = *fields[0].second,
                     .platform = *fields[1].second,
                     .version = *fields[2].second,
                     .digest = *digest};
}

}  // namespace slipway::qr
