#include "common/crypto/pki.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <time.h>

#include <algorithm>
#include <optional>

#include "common/crypto/hash.h"
#include "common/crypto/pem.h"
#include "common/crypto/token.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

using absl::StatusCode;
using internal::StatusFromOpenSsl;

constexpr std::string_view kUriScheme = "slipway://";
constexpr std::string_view kAgentPart = "/agent/";
// Machines of one farm may disagree a little about the time.
constexpr std::size_t kMaxNames = 100;

absl::Status Invalid(std::string_view message) {
  return MakeError(StatusCode::kInvalidArgument, "", message);
}

absl::Status CheckId(std::string_view id, std::string_view what) {
  const bool good = !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
  return good ? absl::OkStatus()
              : Invalid(fmt::format("{} must be 1 to 64 letters, digits or \"-_.\"", what));
}

bool IsDnsName(std::string_view name) {
  if (name.empty() || name.size() > 253 || name.front() == '.' || name.back() == '.') return false;
  if (name.starts_with("*.")) name.remove_prefix(2);
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '.';
  });
}

std::optional<std::string> IpBytes(const std::string& text) {
  std::string bytes(16, '\0');
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return bytes;
  bytes.resize(4);
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return bytes;
  return std::nullopt;
}

time_t ToTimeT(WallTime t) {
  return std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count();
}

absl::StatusOr<WallTime> FromAsn1(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return Invalid("the certificate has an unreadable date");
  return WallTime(std::chrono::seconds(timegm(&parts)));
}

absl::StatusOr<internal::PkeyPtr> NewKey() {
  internal::PkeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return StatusFromOpenSsl(StatusCode::kInternal, "cannot make a key");
  return key;
}

absl::Status AddName(GENERAL_NAMES* names, int type, std::string_view value) {
  ASN1_STRING* text = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (text == nullptr || name == nullptr ||
      ASN1_STRING_set(text, value.data(), static_cast<int>(value.size())) != 1) {
    ASN1_STRING_free(text);
    GENERAL_NAME_free(name);
    return StatusFromOpenSsl(StatusCode::kInternal, "cannot add a name");
  }
  GENERAL_NAME_set0_value(name, type, text);
  if (sk_GENERAL_NAME_push(names, name) <= 0) {
    GENERAL_NAME_free(name);
    return StatusFromOpenSsl(StatusCode::kInternal, "cannot add a name");
  }
  return absl::OkStatus();
}

// What differs between the four kinds of certificate.
struct Template {
  std::string organization;
  std::string common_name;
  const char* basic_constraints;
  const char* key_usage;
  const char* extended_key_usage;  // nullptr: none
  internal::GeneralNamesPtr names;
  WallTime now;
  std::chrono::seconds lifetime;
};

absl::Status AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const internal::OpensslPtr<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return StatusFromOpenSsl(StatusCode::kInternal, "cannot add an extension");
  }
  return absl::OkStatus();
}

absl::Status SetSerial(X509* certificate) {
  const SecretBytes random = RandomBytes(16);
  std::string bytes(random.view());
  bytes[0] = static_cast<char>((bytes[0] & 0x7f) | 0x40);  // positive, always 16 bytes long
  const internal::OpensslPtr<BIGNUM, BN_free> number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                static_cast<int>(bytes.size()), nullptr));
  if (number == nullptr ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return StatusFromOpenSsl(StatusCode::kInternal, "cannot set the serial number");
  }
  return absl::OkStatus();
}

absl::Status SetSubject(X509* certificate, const Template& t) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto add = [&](const char* field, const std::string& value) {
    return value.empty() ||
           X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
  };
  if (!add("O", t.organization) || !add("CN", t.common_name)) {
    return StatusFromOpenSsl(StatusCode::kInvalidArgument, "cannot set the subject");
  }
  return absl::OkStatus();
}

// Signs `subject_key` into a certificate. `issuer` null: self-signed.
absl::StatusOr<std::string> Certify(const Template& t, EVP_PKEY* subject_key, X509* issuer,
                                    EVP_PKEY* issuer_key) {
  const internal::X509Ptr certificate(X509_new());
  if (certificate == nullptr) return StatusFromOpenSsl(StatusCode::kInternal, "cannot start");
  X509* const x = certificate.get();
  SLIPWAY_RETURN_IF_ERROR(SetSerial(x));
  SLIPWAY_RETURN_IF_ERROR(SetSubject(x, t));
  if (X509_set_version(x, X509_VERSION_3) != 1 ||
      X509_set_issuer_name(x, X509_get_subject_name(issuer == nullptr ? x : issuer)) != 1 ||
      ASN1_TIME_set(X509_getm_notBefore(x), ToTimeT(t.now - kClockSkew)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(x), ToTimeT(t.now + t.lifetime)) == nullptr ||
      X509_set_pubkey(x, subject_key) != 1) {
    return StatusFromOpenSsl(StatusCode::kInternal, "cannot fill the certificate");
  }
  X509* const signer = issuer == nullptr ? x : issuer;
  SLIPWAY_RETURN_IF_ERROR(AddExtension(x, signer, NID_basic_constraints, t.basic_constraints));
  SLIPWAY_RETURN_IF_ERROR(AddExtension(x, signer, NID_key_usage, t.key_usage));
  if (t.extended_key_usage != nullptr) {
    SLIPWAY_RETURN_IF_ERROR(AddExtension(x, signer, NID_ext_key_usage, t.extended_key_usage));
  }
  SLIPWAY_RETURN_IF_ERROR(AddExtension(x, signer, NID_subject_key_identifier, "hash"));
  SLIPWAY_RETURN_IF_ERROR(AddExtension(x, signer, NID_authority_key_identifier, "keyid"));
  if (t.names != nullptr &&
      X509_add1_ext_i2d(x, NID_subject_alt_name, t.names.get(), 0, X509V3_ADD_DEFAULT) != 1) {
    return StatusFromOpenSsl(StatusCode::kInternal, "cannot add the names");
  }
  if (X509_sign(x, issuer_key, EVP_sha256()) <= 0) {
    return StatusFromOpenSsl(StatusCode::kInternal, "cannot sign the certificate");
  }
  return internal::CertificateToPem(x);
}

absl::StatusOr<KeyAndCertificate> SelfSigned(Template t, const FarmId& farm) {
  SLIPWAY_RETURN_IF_ERROR(CheckId(farm.value(), "the farm id"));
  t.organization = farm.value();
  SLIPWAY_ASSIGN_OR_RETURN(const internal::PkeyPtr key, NewKey());
  KeyAndCertificate result;
  SLIPWAY_ASSIGN_OR_RETURN(result.certificate_pem, Certify(t, key.get(), nullptr, key.get()));
  SLIPWAY_ASSIGN_OR_RETURN(result.key_pem, internal::PrivateKeyToPem(key.get()));
  return result;
}

struct Issuer {
  internal::X509Ptr certificate;
  internal::PkeyPtr key;
};

absl::StatusOr<Issuer> OpenIssuer(const KeyAndCertificate& ca) {
  Issuer issuer;
  SLIPWAY_ASSIGN_OR_RETURN(issuer.certificate, internal::ParseCertificate(ca.certificate_pem));
  SLIPWAY_ASSIGN_OR_RETURN(issuer.key, internal::ParsePrivateKey(ca.key_pem.view()));
  return issuer;
}

absl::Status CheckRequestKey(const EVP_PKEY* key) {
  const int bits = EVP_PKEY_get_bits(key);
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_ED25519: return absl::OkStatus();
    case EVP_PKEY_EC:
      if (bits >= 256 && bits <= 521) return absl::OkStatus();
      break;
    case EVP_PKEY_RSA:
      if (bits >= 2048 && bits <= 4096) return absl::OkStatus();
      break;
    default: break;
  }
  return MakeError(
      StatusCode::kInvalidArgument, "WEAK_KEY",
      fmt::format("the request's key is of a kind or size ({} bits) that is not taken", bits),
      "Use EC P-256 or larger, Ed25519, or RSA of 2048 to 4096 bits.");
}

}  // namespace

absl::StatusOr<KeyAndCertificate> CreateCa(const FarmId& farm, WallTime now) {
  return SelfSigned({.organization = "",
                     .common_name = "Slipway CA",
                     .basic_constraints = "critical,CA:TRUE,pathlen:0",
                     .key_usage = "critical,keyCertSign,cRLSign",
                     .extended_key_usage = nullptr,
                     .names = nullptr,
                     .now = now,
                     .lifetime = kCaLifetime},
                    farm);
}

absl::StatusOr<KeyAndCertificate> CreateEncryptionCertificate(const FarmId& farm, WallTime now) {
  return SelfSigned({.organization = "",
                     .common_name = "Slipway credentials",
                     .basic_constraints = "critical,CA:FALSE",
                     .key_usage = "critical,keyAgreement",
                     .extended_key_usage = nullptr,
                     .names = nullptr,
                     .now = now,
                     .lifetime = kCaLifetime},
                    farm);
}

absl::StatusOr<KeyAndCertificate> IssueServerCertificate(const KeyAndCertificate& ca,
                                                         const ServerNames& names, WallTime now,
                                                         std::chrono::seconds lifetime) {
  const std::size_t count = names.dns.size() + names.ips.size();
  if (count == 0 || count > kMaxNames) {
    return Invalid(fmt::format("a server certificate needs 1 to {} names", kMaxNames));
  }
  internal::GeneralNamesPtr san(GENERAL_NAMES_new());
  for (const std::string& name : names.dns) {
    if (!IsDnsName(name)) return Invalid(fmt::format("{:?} is not a DNS name", name));
    SLIPWAY_RETURN_IF_ERROR(AddName(san.get(), GEN_DNS, name));
  }
  for (const std::string& ip : names.ips) {
    const auto bytes = IpBytes(ip);
    if (!bytes) return Invalid(fmt::format("{:?} is not an IP address", ip));
    SLIPWAY_RETURN_IF_ERROR(AddName(san.get(), GEN_IPADD, *bytes));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Issuer issuer, OpenIssuer(ca));
  SLIPWAY_ASSIGN_OR_RETURN(const internal::PkeyPtr key, NewKey());
  const Template t{.organization = "",
                   .common_name = "slipway-controller",
                   .basic_constraints = "critical,CA:FALSE",
                   .key_usage = "critical,digitalSignature",
                   .extended_key_usage = "serverAuth",
                   .names = std::move(san),
                   .now = now,
                   .lifetime = lifetime};
  KeyAndCertificate result;
  SLIPWAY_ASSIGN_OR_RETURN(result.certificate_pem,
                           Certify(t, key.get(), issuer.certificate.get(), issuer.key.get()));
  SLIPWAY_ASSIGN_OR_RETURN(result.key_pem, internal::PrivateKeyToPem(key.get()));
  return result;
}

absl::StatusOr<KeyAndRequest> CreateKeyAndRequest() {
  SLIPWAY_ASSIGN_OR_RETURN(const internal::PkeyPtr key, NewKey());
  const internal::RequestPtr request(X509_REQ_new());
  if (request == nullptr || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), EVP_sha256()) <= 0) {
    return StatusFromOpenSsl(StatusCode::kInternal, "cannot make a certificate request");
  }
  KeyAndRequest result;
  SLIPWAY_ASSIGN_OR_RETURN(result.request_pem, internal::RequestToPem(request.get()));
  SLIPWAY_ASSIGN_OR_RETURN(result.key_pem, internal::PrivateKeyToPem(key.get()));
  return result;
}

absl::StatusOr<std::string> IssueAgentCertificate(const KeyAndCertificate& ca,
                                                  std::string_view request_pem, const FarmId& farm,
                                                  const AgentId& agent, WallTime now,
                                                  std::chrono::seconds lifetime) {
  SLIPWAY_RETURN_IF_ERROR(CheckId(farm.value(), "the farm id"));
  SLIPWAY_RETURN_IF_ERROR(CheckId(agent.value(), "the agent id"));
  SLIPWAY_ASSIGN_OR_RETURN(const internal::RequestPtr request, internal::ParseRequest(request_pem));
  EVP_PKEY* const key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr) return Invalid("the certificate request has no usable key");
  SLIPWAY_RETURN_IF_ERROR(CheckRequestKey(key));
  if (X509_REQ_verify(request.get(), key) != 1) {
    return StatusFromOpenSsl(StatusCode::kInvalidArgument,
                             "the certificate request is not signed by its own key");
  }
  internal::GeneralNamesPtr san(GENERAL_NAMES_new());
  SLIPWAY_RETURN_IF_ERROR(AddName(san.get(), GEN_URI, AgentUri(farm, agent)));
  SLIPWAY_ASSIGN_OR_RETURN(const Issuer issuer, OpenIssuer(ca));
  const Template t{.organization = "",
                   .common_name = agent.value(),
                   .basic_constraints = "critical,CA:FALSE",
                   .key_usage = "critical,digitalSignature",
                   .extended_key_usage = "clientAuth",
                   .names = std::move(san),
                   .now = now,
                   .lifetime = lifetime};
  return Certify(t, key, issuer.certificate.get(), issuer.key.get());
}

std::string AgentUri(const FarmId& farm, const AgentId& agent) {
  return fmt::format("{}{}{}{}", kUriScheme, farm.value(), kAgentPart, agent.value());
}

absl::StatusOr<AgentId> AgentOfUri(std::string_view uri, const FarmId& farm) {
  const std::string prefix = AgentUri(farm, AgentId(""));
  if (!uri.starts_with(prefix)) return Invalid("the certificate is not one of this farm's agents");
  uri.remove_prefix(prefix.size());
  SLIPWAY_RETURN_IF_ERROR(CheckId(uri, "the agent id in the certificate"));
  return AgentId(std::string(uri));
}

absl::StatusOr<CertificateFacts> ReadCertificate(std::string_view certificate_pem) {
  SLIPWAY_ASSIGN_OR_RETURN(const internal::X509Ptr x, internal::ParseCertificate(certificate_pem));
  CertificateFacts facts;
  unsigned char* der = nullptr;
  const int der_size = i2d_X509(x.get(), &der);
  if (der_size <= 0) return StatusFromOpenSsl(StatusCode::kInvalidArgument, "broken certificate");
  facts.fingerprint =
      Sha256Of({reinterpret_cast<const char*>(der), static_cast<std::size_t>(der_size)});
  OPENSSL_free(der);
  const ASN1_INTEGER* serial = X509_get0_serialNumber(x.get());
  facts.serial = HexEncode({reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)),
                            static_cast<std::size_t>(ASN1_STRING_length(serial))});
  char common_name[256] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(x.get()), NID_commonName, common_name,
                            sizeof(common_name));
  facts.common_name = common_name;
  const internal::GeneralNamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(x.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    facts.uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                            static_cast<std::size_t>(ASN1_STRING_length(uri)));
  }
  SLIPWAY_ASSIGN_OR_RETURN(facts.not_before, FromAsn1(X509_get0_notBefore(x.get())));
  SLIPWAY_ASSIGN_OR_RETURN(facts.not_after, FromAsn1(X509_get0_notAfter(x.get())));
  return facts;
}

absl::Status VerifyIssuedBy(std::string_view certificate_pem, std::string_view ca_pem,
                            WallTime now) {
  const auto refuse = [](std::string_view why) {
    return MakeError(StatusCode::kUnauthenticated, "CERTIFICATE_REFUSED", why);
  };
  SLIPWAY_ASSIGN_OR_RETURN(const internal::X509Ptr x, internal::ParseCertificate(certificate_pem));
  SLIPWAY_ASSIGN_OR_RETURN(const internal::X509Ptr ca, internal::ParseCertificate(ca_pem));
  if (X509_check_issued(ca.get(), x.get()) != X509_V_OK ||
      X509_verify(x.get(), X509_get0_pubkey(ca.get())) != 1) {
    return WithContext(StatusFromOpenSsl(StatusCode::kUnauthenticated,
                                         "the certificate was not issued by this farm's CA"),
                       "certificate");
  }
  for (X509* each : {x.get(), ca.get()}) {
    SLIPWAY_ASSIGN_OR_RETURN(const WallTime begin, FromAsn1(X509_get0_notBefore(each)));
    SLIPWAY_ASSIGN_OR_RETURN(const WallTime end, FromAsn1(X509_get0_notAfter(each)));
    if (now < begin) return refuse("the certificate is not valid yet; compare the clocks");
    if (now > end) return refuse("the certificate has expired");
  }
  return absl::OkStatus();
}

absl::Status CheckKeyMatches(std::string_view key_pem, std::string_view certificate_pem) {
  SLIPWAY_ASSIGN_OR_RETURN(const internal::PkeyPtr key, internal::ParsePrivateKey(key_pem));
  SLIPWAY_ASSIGN_OR_RETURN(const internal::X509Ptr x, internal::ParseCertificate(certificate_pem));
  if (X509_check_private_key(x.get(), key.get()) != 1) {
    return StatusFromOpenSsl(StatusCode::kInvalidArgument,
                             "the private key does not belong to the certificate");
  }
  return absl::OkStatus();
}

}  // namespace slipway::crypto
