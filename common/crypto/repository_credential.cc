#include "common/crypto/repository_credential.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/crypto/pki.h"
#include "common/crypto/sealed_fields.h"
#include "common/crypto/ssh_key.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

using absl::StatusCode;

constexpr char kAgain[] = "slipway apps set-repository-credential";
constexpr char kPurpose[] = "repository";
constexpr std::size_t kMaxUser = 256;
constexpr std::size_t kMaxPassword = 4 * 1024;
constexpr std::size_t kMaxKnownHosts = 16 * 1024;
constexpr std::size_t kMaxAuthorities = 32 * 1024;

absl::Status Bad(std::string_view why) {
  return MakeError(StatusCode::kInvalidArgument, "BAD_REPOSITORY_CREDENTIAL",
                   fmt::format("the repository's credential is not usable: {}", why),
                   "Give user and password or token for an https URL, a private key for ssh.");
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }

// git's credential protocol carries one line each.
bool IsLine(std::string_view text, std::size_t max) {
  return !text.empty() && text.size() <= max && std::none_of(text.begin(), text.end(), IsControl);
}

// "[marker] hosts type key [comment]", as far as ssh would not take it for something else.
bool IsKnownHost(std::string_view line) {
  int words = 0;
  bool inside = false;
  for (const char c : line) {
    if (c != '\t' && (IsControl(c) || static_cast<unsigned char>(c) > 0x7e)) return false;
    const bool blank = c == ' ' || c == '\t';
    if (!blank && !inside) ++words;
    inside = !blank;
  }
  return words == 0 || line.front() == '#' || words >= (line.front() == '@' ? 4 : 3);
}

absl::Status CheckKnownHosts(std::string_view text) {
  if (text.size() > kMaxKnownHosts) return Bad("known_hosts is larger than 16 KiB");
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!line.empty() && !IsKnownHost(line)) {
      return Bad(fmt::format("line {} of known_hosts is not \"host type key\"", number));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckAuthorities(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  if (text.empty()) return absl::OkStatus();
  if (text.size() > kMaxAuthorities) return Bad("the authorities' certificates exceed 32 KiB");
  if (text.find("PRIVATE KEY") != std::string_view::npos) {
    return Bad("beside the authorities' certificates is a private key");
  }
  std::size_t at = text.find(kBegin);
  if (at == std::string_view::npos) return Bad("the authorities' file has no PEM certificate");
  for (int number = 1; at != std::string_view::npos; ++number) {
    const std::size_t next = text.find(kBegin, at + kBegin.size());
    if (!ReadCertificate(text.substr(at, next - at)).ok()) {
      return Bad(fmt::format("certificate {} of the authorities' file is broken", number));
    }
    at = next;
  }
  return absl::OkStatus();
}

absl::Status Foreign(std::string_view what) {
  return MakeError(StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN",
                   fmt::format("the credential was sealed for another {}", what),
                   fmt::format("Seal this application's own one with `{}`.", kAgain));
}

}  // namespace

std::string_view RepositoryCredentialKindName(RepositoryCredentialKind kind) {
  return kind == RepositoryCredentialKind::kSsh ? "ssh" : "https";
}

RepositoryCredential RepositoryCredential::Clone() const {
  return {kind, username, SecretBytes::CopyOf(secret.view()), known_hosts, ca_certificates};
}

absl::Status CheckRepositoryCredential(const RepositoryCredential& credential) {
  if (credential.kind == RepositoryCredentialKind::kSsh) {
    if (!credential.username.empty()) return Bad("over SSH the repository's URL names the user");
    if (!credential.ca_certificates.empty()) return Bad("authorities are for https");
    SLIPWAY_RETURN_IF_ERROR(ReadSshKey(credential.secret.view()).status());
    return CheckKnownHosts(credential.known_hosts);
  }
  if (!credential.known_hosts.empty()) return Bad("known_hosts are for SSH");
  if (!IsLine(credential.username, kMaxUser)) {
    return Bad("the user name must have 1 to 256 bytes without line breaks");
  }
  if (!IsLine(credential.secret.view(), kMaxPassword)) {
    return Bad("the password must be one line of 1 to 4096 bytes");
  }
  return CheckAuthorities(credential.ca_certificates);
}

absl::StatusOr<std::string> SealRepositoryCredential(const RepositoryBinding& binding,
                                                     const RepositoryCredential& credential,
                                                     std::string_view farm_certificate_pem) {
  SLIPWAY_RETURN_IF_ERROR(CheckRepositoryCredential(credential));
  SealedFields document(kAgain);
  document.Add("purpose", kPurpose);
  document.Add("farm", binding.farm.value());
  document.Add("application", binding.application.value());
  document.Add("origin", binding.origin);
  document.Add("kind", RepositoryCredentialKindName(credential.kind));
  document.Add("username", credential.username);
  document.Add("knownHosts", credential.known_hosts);
  document.Add("caCertificates", credential.ca_certificates);
  document.Add("secret", credential.secret.view());
  return document.SealFor(farm_certificate_pem);
}

absl::StatusOr<RepositoryCredential> OpenRepositoryCredential(std::string_view sealed_pem,
                                                              std::string_view farm_certificate_pem,
                                                              std::string_view farm_key_pem,
                                                              const RepositoryBinding& expected) {
  SealedFields document(kAgain);
  SLIPWAY_RETURN_IF_ERROR(document.OpenFrom(sealed_pem, farm_certificate_pem, farm_key_pem));
  // Those for publishing name a platform instead.
  if (!document.Has("purpose") || document.Has("platform")) return Foreign("purpose");
  SLIPWAY_ASSIGN_OR_RETURN(const std::string_view name,
                           document.FirstDifference({{"purpose", kPurpose},
                                                     {"farm", expected.farm.value()},
                                                     {"application", expected.application.value()},
                                                     {"origin", expected.origin}}));
  if (!name.empty()) return Foreign(name == "origin" ? "server" : name);
  SLIPWAY_ASSIGN_OR_RETURN(const auto fields,
                           document.GetAll({"kind", "username", "knownHosts", "secret"}));
  const auto& [kind, username, known_hosts, secret] = fields;
  if (kind != "https" && kind != "ssh") return Bad("its kind is neither https nor ssh");
  RepositoryCredential credential;
  credential.kind =
      kind == "ssh" ? RepositoryCredentialKind::kSsh : RepositoryCredentialKind::kHttps;
  credential.username = username;
  credential.known_hosts = known_hosts;
  // Those that were sealed before servers could have authorities of their own have none.
  if (document.Has("caCertificates")) {
    SLIPWAY_ASSIGN_OR_RETURN(credential.ca_certificates, document.Get("caCertificates"));
  }
  credential.secret = SecretBytes::CopyOf(secret);
  SLIPWAY_RETURN_IF_ERROR(CheckRepositoryCredential(credential));
  return credential;
}

}  // namespace slipway::crypto
