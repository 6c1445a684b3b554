#include "common/git/repository_url.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/status/status.h"

namespace slipway::git {
namespace {

absl::Status Invalid(std::string_view what) {
  return MakeError(absl::StatusCode::kInvalidArgument, "REPOSITORY_URL_INVALID",
                   fmt::format("the repository's URL: {}", what),
                   "Use a URL like https://host/path.git or ssh://git@host/path.git.");
}

// "user:password@host:port" of scheme://…; empty: it has another form.
std::string_view AuthorityOf(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return "";
  const std::size_t begin = scheme + 3;
  return url.substr(begin, url.find('/', begin) - begin);
}

struct Span {
  std::size_t begin;
  std::size_t size;
};

// Where the password stands, its colon included.
std::optional<Span> FindPassword(std::string_view url) {
  const std::string_view authority = AuthorityOf(url);
  const std::size_t at = authority.rfind('@');
  if (at == std::string_view::npos) return std::nullopt;
  const std::size_t colon = authority.substr(0, at).find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  return Span{url.find("://") + 3 + colon, at - colon};
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// nullopt: a broken escape, or a control character, which the credential protocol cannot carry.
std::optional<std::string> PercentDecode(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int value = HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]);
      if (HexValue(text[i + 1]) < 0 || HexValue(text[i + 2]) < 0) return std::nullopt;
      c = static_cast<char>(value);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    result.push_back(c);
  }
  return result;
}

bool IsHostChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(".-_:[]").find(c) != std::string_view::npos;
}

// Brackets stand around an IPv6 address, and only there: for other hosts in them git and we would
// not agree which server it is.
bool IsHost(std::string_view host) {
  if (host.empty() || host.front() == '-') return false;
  const std::size_t end = host.find(']');
  if (host.front() == '[') {
    if (end == std::string_view::npos || end < 3) return false;
    for (const char c : host.substr(1, end - 1)) {
      if (HexValue(c) < 0 && c != ':' && c != '.') return false;
    }
    host.remove_prefix(end + 1);
    if (!host.empty() && host.front() != ':') return false;
  }
  return host.find_first_of("[]") == std::string_view::npos &&
         std::all_of(host.begin(), host.end(), IsHostChar);
}

bool IsUser(std::string_view user) {
  return user.empty() || (user.front() != '-' && std::all_of(user.begin(), user.end(), [](char c) {
                            return IsHostChar(c) || c == '+' || c == '%' || c == '@';
                          }));
}

absl::StatusOr<RepositoryUrl> ParseNetworkUrl(std::string scheme, std::string_view rest) {
  RepositoryUrl url;
  url.scheme = std::move(scheme);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view host = rest.substr(0, slash);
  const std::string_view path = rest.substr(slash);
  std::string_view user;
  std::string_view password;
  if (const std::size_t at = host.rfind('@'); at != std::string_view::npos) {
    user = host.substr(0, at);
    host = host.substr(at + 1);
    if (const std::size_t colon = user.find(':'); colon != std::string_view::npos) {
      password = user.substr(colon + 1);
      user = user.substr(0, colon);
    }
  }
  if (!IsHost(host)) return Invalid("its host name is not one");
  if (path.size() < 2) return Invalid("it has no path");
  if (url.scheme == "ssh") {
    if (!password.empty()) return Invalid("ssh takes keys, not passwords");
    if (!IsUser(user)) return Invalid("its user name is not one");
    url.clean = fmt::format("ssh://{}{}{}{}", user, user.empty() ? "" : "@", host, path);
    return url;
  }
  url.clean = fmt::format("{}://{}{}", url.scheme, host, path);
  const auto plain_user = PercentDecode(user);
  const auto plain_password = PercentDecode(password);
  if (!plain_user || !plain_password) return Invalid("its user name or password is not readable");
  if (url.scheme == "git" && !user.empty()) return Invalid("git:// knows no users");
  url.username = *plain_user;
  url.password = *plain_password;
  return url;
}

}  // namespace

bool HasPassword(std::string_view url) { return FindPassword(url).has_value(); }

bool HasLogin(std::string_view url) {
  return url.rfind("http", 0) == 0 && AuthorityOf(url).find('@') != std::string_view::npos;
}

std::string WithoutPassword(std::string_view url) {
  std::string text(url);
  if (const auto found = FindPassword(url)) text.replace(found->begin, found->size, ":***");
  return text;
}

std::string RepositoryUrl::Origin() const {
  const std::size_t host = clean.find("://");
  if (host == std::string::npos) {
    return scheme == "ssh" ? "ssh://" + clean.substr(0, clean.find(':')) : clean;
  }
  return clean.substr(0, clean.find('/', host + 3));
}

absl::StatusOr<RepositoryUrl> ParseRepositoryUrl(std::string_view text,
                                                 const std::set<std::string>& allowed_schemes) {
  if (text.empty() || text.size() > 2048) return Invalid("empty or longer than 2048 bytes");
  if (text.front() == '-') return Invalid("it begins with '-'");
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) {
      return Invalid("white space and control characters are not allowed");
    }
  }
  absl::StatusOr<RepositoryUrl> url = Invalid("not a URL");
  const std::size_t separator = text.find("://");
  if (text.front() == '/') {
    url = RepositoryUrl{"file", std::string(text), "", ""};
  } else if (separator != std::string_view::npos) {
    std::string scheme(text.substr(0, separator));
    const std::string_view rest = text.substr(separator + 3);
    if (scheme == "file") {
      if (rest.empty() || rest.front() != '/') return Invalid("file:// needs an absolute path");
      url = RepositoryUrl{scheme, std::string(rest), "", ""};
    } else if (scheme == "https" || scheme == "http" || scheme == "ssh" || scheme == "git") {
      url = ParseNetworkUrl(std::move(scheme), rest);
    } else {
      return Invalid("its scheme is not one of https, ssh, git");
    }
  } else if (const std::size_t colon = text.find(':');
             colon != std::string_view::npos && text.find("::") == std::string_view::npos) {
    const std::string_view path = text.substr(colon + 1);
    if (text.substr(0, colon).find('[') != std::string_view::npos) {
      return Invalid("this form takes no address in brackets; write ssh://user@[address]/path");
    }
    if (path.empty() || path.front() == '-') return Invalid("it has no path");
    url = ParseNetworkUrl("ssh", fmt::format("{}{}{}", text.substr(0, colon),
                                             path.front() == '/' ? "" : "/~/", path));
    // The short form's path is relative to the home directory.
    if (url.ok()) url->clean = std::string(text);
  }
  if (!url.ok()) return url;
  if (!allowed_schemes.contains(url->scheme)) {
    return MakeError(absl::StatusCode::kInvalidArgument, "REPOSITORY_URL_INVALID",
                     fmt::format("repositories over {} are not allowed here", url->scheme),
                     "Use https or ssh, or ask the operator to allow it.");
  }
  return url;
}

}  // namespace slipway::git
