#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/crypto/secret.h"

// The farm's own certificates: one CA per farm signs the controller's server certificate and the
// agents' client certificates. All keys are EC P-256; certificates and requests travel as PEM.
// Everything here is a pure function of its arguments and fresh random numbers. Thread-safe.
namespace slipway::crypto {

struct KeyAndCertificate {
  SecretBytes key_pem;  // PKCS#8, not encrypted
  std::string certificate_pem;
};

struct KeyAndRequest {
  SecretBytes key_pem;
  std::string request_pem;
};

inline constexpr auto kCaLifetime = std::chrono::hours(24) * 3653;
inline constexpr auto kServerLifetime = std::chrono::hours(24) * 397;
inline constexpr auto kAgentLifetime = std::chrono::hours(24) * 90;
// Certificates begin this much before they are issued, for clocks that are behind.
inline constexpr auto kClockSkew = std::chrono::minutes(5);

// The farm's root: may sign certificates, no further CAs.
absl::StatusOr<KeyAndCertificate> CreateCa(const FarmId& farm, WallTime now);

// A self-signed certificate that only receives what is sealed for the farm (Seal in cms.h). Its
// key signs nothing, so a leaked one impersonates nobody; ten years, as sealed files live in git.
absl::StatusOr<KeyAndCertificate> CreateEncryptionCertificate(const FarmId& farm, WallTime now);

struct ServerNames {
  std::vector<std::string> dns;
  std::vector<std::string> ips;  // IPv4 or IPv6 in text form
};
// kInvalidArgument: no name at all, or one that is neither a DNS name nor an address.
absl::StatusOr<KeyAndCertificate> IssueServerCertificate(
    const KeyAndCertificate& ca, const ServerNames& names, WallTime now,
    std::chrono::seconds lifetime = kServerLifetime);

// A fresh key and a request signed with it. The issuer decides the names, so the request has none.
absl::StatusOr<KeyAndRequest> CreateKeyAndRequest();

// A client certificate for the key of `request_pem`, whatever else the request asks for: CN is the
// agent's id, the only SAN is AgentUri(). kInvalidArgument: not a request, its signature does not
// match its key, or a key that is not EC P-256 or larger, Ed25519, or RSA of 2048 to 4096 bits.
absl::StatusOr<std::string> IssueAgentCertificate(const KeyAndCertificate& ca,
                                                  std::string_view request_pem, const FarmId& farm,
                                                  const AgentId& agent, WallTime now,
                                                  std::chrono::seconds lifetime = kAgentLifetime);

// "slipway://<farm id>/agent/<agent id>": how the controller knows a peer.
std::string AgentUri(const FarmId& farm, const AgentId& agent);
// The agent named by such a URI of this farm. kInvalidArgument: another farm or another shape.
absl::StatusOr<AgentId> AgentOfUri(std::string_view uri, const FarmId& farm);

struct CertificateFacts {
  Sha256Digest fingerprint;  // of the DER
  std::string serial;        // lower-case hex
  std::string common_name;
  std::vector<std::string> uris;  // SAN URIs
  WallTime not_before;
  WallTime not_after;
};
// kInvalidArgument: not one PEM certificate.
absl::StatusOr<CertificateFacts> ReadCertificate(std::string_view certificate_pem);

// Ok when `ca_pem` signed the certificate and both are in their lifetime at `now`.
// kUnauthenticated says which of it fails.
absl::Status VerifyIssuedBy(std::string_view certificate_pem, std::string_view ca_pem,
                            WallTime now);

// Ok when the private key belongs to the certificate: what a program checks of its files at start.
absl::Status CheckKeyMatches(std::string_view key_pem, std::string_view certificate_pem);

}  // namespace slipway::crypto
