#include "controller/api/channel_url.h"

#include <algorithm>
#include <charconv>

#include "common/status/status.h"
#include "controller/api/fields.h"

namespace slipway::api {
namespace {

constexpr std::string_view kHostCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
constexpr std::size_t kLongestAddress = 1024;

// HOST[:PORT]; the host.
bool SplitPort(std::string_view& host) {
  const auto colon = host.rfind(':');
  if (colon == std::string_view::npos) return true;
  const std::string_view digits = host.substr(colon + 1);
  int port = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  host = host.substr(0, colon);
  return parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size() && port >= 1 &&
         port <= 65535;
}

absl::Status CheckPlain(std::string_view host, bool plain) {
  if (!plain || host == "localhost" || host == "127.0.0.1") return absl::OkStatus();
  return BadField("channel.plain", "only for a server at localhost or 127.0.0.1");
}

}  // namespace

bool IsHostName(std::string_view host) {
  if (host.empty() || host.size() > 253 || host.front() == '.' || host.front() == '-') return false;
  if (host.find("..") != std::string_view::npos || host.back() == '.') return false;
  return host.find_first_not_of(kHostCharacters) == std::string_view::npos;
}

absl::Status CheckMailServer(const std::string& url, bool plain) {
  const char* const rule = "is no address like smtps://mail.example.com or smtp://HOST:587";
  SLIPWAY_RETURN_IF_ERROR(CheckText("channel.url", url, 300));
  const bool tls = url.rfind("smtps://", 0) == 0;
  if (!tls && url.rfind("smtp://", 0) != 0) return BadField("channel.url", rule);
  std::string_view host = std::string_view(url).substr(tls ? 8 : 7);
  if (!SplitPort(host) || !IsHostName(host)) return BadField("channel.url", rule);
  if (plain && tls) return BadField("channel.plain", "contradicts smtps://");
  return CheckPlain(host, plain);
}

absl::Status CheckWebAddress(const std::string& url, bool plain) {
  const char* const rule =
      "is no address like https://hooks.example.com/slipway, without user, password and fragment";
  SLIPWAY_RETURN_IF_ERROR(CheckText("channel.url", url, kLongestAddress));
  const bool tls = url.rfind("https://", 0) == 0;
  if (!tls && url.rfind("http://", 0) != 0) return BadField("channel.url", rule);
  if (tls == plain) {
    return BadField("channel.url", plain ? "contradicts plain: it begins with https://"
                                         : "begins with http://, which anybody can read on the "
                                           "way; only plain channels on this machine may");
  }
  const auto odd = [](char c) { return c <= ' ' || c > '~' || c == '#' || c == '@' || c == '\\'; };
  if (std::any_of(url.begin(), url.end(), odd)) return BadField("channel.url", rule);
  std::string_view host = std::string_view(url).substr(tls ? 8 : 7);
  host = host.substr(0, host.find_first_of("/?"));
  if (!SplitPort(host) || !IsHostName(host)) return BadField("channel.url", rule);
  return CheckPlain(host, plain);
}

}  // namespace slipway::api
