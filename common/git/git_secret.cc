#include "common/git/git_secret.h"

#include <errno.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <utility>

#include "common/crypto/secret.h"
#include "common/git/file_support.h"
#include "common/status/status.h"

namespace slipway::git {
namespace {

using crypto::RepositoryCredential;
using crypto::RepositoryCredentialKind;
using crypto::SecretBytes;

// The last argument of ssh's options in the shell's words. ssh closes what it inherited, so it is
// pointed to the files of the shell that started it, which a function keeps alive.
constexpr char kSsh[] =
    "f() {{ ssh -F /dev/null -i /proc/$$/fd/{} -o IdentitiesOnly=yes -o IdentityAgent=none"
    " -o PreferredAuthentications=publickey -o BatchMode=yes -o ConnectTimeout=20"
    " -o ForwardAgent=no -o ClearAllForwardings=yes -o UpdateHostKeys=no"
    " -o GlobalKnownHostsFile=/dev/null {} \"$@\"; r=$?; return $r; }}; f";

std::string ShellQuoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

// As an option's value: ssh splits it at blanks and expands '%'.
std::string SshPath(std::string_view path) {
  std::string text = "\"";
  for (const char c : path) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
    if (c == '%') text += c;
  }
  return text + "\"";
}

absl::Status WrongKind(const RepositoryUrl& url, RepositoryCredentialKind kind) {
  return MakeError(absl::StatusCode::kPermissionDenied, "REPOSITORY_ACCESS_DENIED",
                   fmt::format("no access to {}: the credential set for it is for {}", url.clean,
                               crypto::RepositoryCredentialKindName(kind)),
                   "Set another one with `slipway apps set-repository-credential`.");
}

}  // namespace

std::vector<int> GitSecret::files() const {
  std::vector<int> numbers;
  for (const fs::UniqueFd& file : files_) numbers.push_back(file.get());
  return numbers;
}

absl::StatusOr<int> GitSecret::Hold(std::string_view bytes) {
  fs::UniqueFd file(memfd_create("slipway-git", MFD_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, "cannot make a file in memory");
  // ssh refuses keys that others could read.
  if (fchmod(file.get(), 0600) != 0) return ErrnoError(errno, "cannot protect a file in memory");
  SLIPWAY_RETURN_IF_ERROR(WriteAll(file.get(), bytes, "a file in memory"));
  files_.push_back(std::move(file));
  return files_.back().get();
}

absl::StatusOr<GitSecret> GitSecret::Make(const RepositoryUrl& url,
                                          const RepositoryCredential* credential,
                                          const std::string& known_hosts_file) {
  GitSecret made;
  const bool http = url.scheme == "https" || url.scheme == "http";
  if (credential != nullptr && credential->kind == RepositoryCredentialKind::kSsh) {
    if (url.scheme != "ssh") return WrongKind(url, credential->kind);
    // ssh finds no key in a text without a line end.
    SecretBytes key(credential->secret.size() + 1);
    credential->secret.view().copy(key.data(), credential->secret.size());
    key.data()[credential->secret.size()] = '\n';
    SLIPWAY_ASSIGN_OR_RETURN(const int key_file, made.Hold(key.view()));
    std::string hosts;
    if (credential->known_hosts.empty()) {
      hosts = "-o StrictHostKeyChecking=accept-new -o " +
              ShellQuoted("UserKnownHostsFile=" + SshPath(known_hosts_file));
    } else {
      SLIPWAY_ASSIGN_OR_RETURN(const int hosts_file, made.Hold(credential->known_hosts));
      hosts = fmt::format("-o StrictHostKeyChecking=yes -o UserKnownHostsFile=/proc/$$/fd/{}",
                          hosts_file);
    }
    made.ssh_command_ = fmt::format(kSsh, key_file, hosts);
    return made;
  }
  if (credential != nullptr && !http) return WrongKind(url, credential->kind);
  if (credential != nullptr && !credential->ca_certificates.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(const int file, made.Hold(credential->ca_certificates));
    made.ca_file_ = fmt::format("/proc/self/fd/{}", file);
  }
  const std::string_view user = credential != nullptr ? credential->username : url.username;
  const std::string_view password =
      credential != nullptr ? credential->secret.view() : std::string_view(url.password);
  if (!http || (user.empty() && password.empty())) return made;
  // What git's credential protocol reads.
  constexpr std::string_view kParts[] = {"username=", "\npassword=", "\n"};
  SecretBytes answer(kParts[0].size() + user.size() + kParts[1].size() + password.size() +
                     kParts[2].size());
  char* at = answer.data();
  for (const std::string_view part : {kParts[0], user, kParts[1], password, kParts[2]}) {
    at += part.copy(at, part.size());
  }
  SLIPWAY_ASSIGN_OR_RETURN(const int file, made.Hold(answer.view()));
  made.helper_ = fmt::format("!f() {{ test \"$1\" = get && cat /proc/self/fd/{}; }}; f", file);
  return made;
}

}  // namespace slipway::git
