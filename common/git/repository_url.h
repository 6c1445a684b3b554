#pragma once

#include <set>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace slipway::git {

// Where a repository is, taken apart so that its password never reaches an argument list, a log or
// a directory name. Thread-compatible.
struct RepositoryUrl {
  // https, http, ssh, git or file.
  std::string scheme;
  // What git is given and people see: without password, and for http(s) without user name.
  std::string clean;
  // Of http(s) URLs only, percent-decoded; empty when the URL names none.
  std::string username;
  std::string password;

  // "https://host:port", "ssh://user@host": what the credentials are for.
  [[nodiscard]] std::string Origin() const;
};

// Whether git would be given a password by the URL itself, where everybody who sees the URL reads
// it.
[[nodiscard]] bool HasPassword(std::string_view url);
// Whether git would be given anything by the URL itself to log in with over HTTP: a token may stand
// there as a user name.
[[nodiscard]] bool HasLogin(std::string_view url);
// The URL without its password, for people.
[[nodiscard]] std::string WithoutPassword(std::string_view url);

// Accepts scheme://…, user@host:path (ssh) and /absolute/path (file). kInvalidArgument, reason
// REPOSITORY_URL_INVALID: another form, a scheme outside `allowed_schemes`, or text that a program
// could take for an option. The message never repeats a password.
[[nodiscard]] absl::StatusOr<RepositoryUrl> ParseRepositoryUrl(
    std::string_view url, const std::set<std::string>& allowed_schemes);

}  // namespace slipway::git
