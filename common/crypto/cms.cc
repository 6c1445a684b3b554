#include "common/crypto/cms.h"

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include <optional>

#include "common/crypto/pem.h"
#include "common/status/status.h"

namespace slipway::crypto {
namespace {

using absl::StatusCode;
using internal::StatusFromOpenSsl;

constexpr std::size_t kTagBytes = 16;
constexpr unsigned int kFlags = CMS_BINARY;

absl::Status Broken(std::string_view why) {
  return MakeError(StatusCode::kInvalidArgument, "SEAL_BROKEN",
                   fmt::format("the sealed file cannot be opened: {}", why),
                   "Seal it again with `slipway credentials seal`.");
}

// One DER element, split off the front of `rest`. nullopt: not DER, or of indefinite length.
struct Element {
  int tag = 0;
  int tag_class = 0;
  std::string_view content;
  std::string_view whole;
};
std::optional<Element> NextElement(std::string_view& rest) {
  const auto* begin = reinterpret_cast<const unsigned char*>(rest.data());
  const unsigned char* position = begin;
  long length = 0;
  Element element;
  // 0x80 is an error, 1 an indefinite length.
  const int flags = ASN1_get_object(&position, &length, &element.tag, &element.tag_class,
                                    static_cast<long>(rest.size()));
  if ((flags & 0x81) != 0) {
    ERR_clear_error();
    return std::nullopt;
  }
  const auto header = static_cast<std::size_t>(position - begin);
  element.content = rest.substr(header, static_cast<std::size_t>(length));
  element.whole = rest.substr(0, header + static_cast<std::size_t>(length));
  rest.remove_prefix(element.whole.size());
  return element;
}

bool Is(const std::optional<Element>& element, int tag, int tag_class = V_ASN1_UNIVERSAL) {
  return element.has_value() && element->tag == tag && element->tag_class == tag_class;
}

bool IsObject(const std::optional<Element>& element, int nid) {
  if (!Is(element, V_ASN1_OBJECT)) return false;
  const auto* position = reinterpret_cast<const unsigned char*>(element->whole.data());
  const internal::OpensslPtr<ASN1_OBJECT, ASN1_OBJECT_free> object(
      d2i_ASN1_OBJECT(nullptr, &position, static_cast<long>(element->whole.size())));
  return object != nullptr && OBJ_obj2nid(object.get()) == nid;
}

// OpenSSL opens what the file claims to be, e.g. plain EnvelopedData without authentication, and it
// depends on its release whether it refuses a GCM tag cut down until it can be guessed. Either
// would let somebody who may write to the repository turn bits of a sealed document, such as the
// application it is bound to.
absl::Status CheckStrength(std::string_view der) {
  const absl::Status not_ours = Broken("it is not AES-256-GCM AuthEnvelopedData in DER");
  const auto outer = NextElement(der);
  if (!Is(outer, V_ASN1_SEQUENCE) || !der.empty()) return not_ours;
  std::string_view content_info = outer->content;
  if (!IsObject(NextElement(content_info), NID_id_smime_ct_authEnvelopedData)) return not_ours;
  const auto wrapper = NextElement(content_info);
  if (!Is(wrapper, 0, V_ASN1_CONTEXT_SPECIFIC)) return not_ours;
  std::string_view inside = wrapper->content;
  const auto enveloped = NextElement(inside);
  if (!Is(enveloped, V_ASN1_SEQUENCE)) return not_ours;

  std::string_view fields = enveloped->content;
  bool gcm = false;
  while (!fields.empty()) {
    const auto field = NextElement(fields);
    if (!field) return not_ours;
    if (Is(field, V_ASN1_SEQUENCE)) {  // EncryptedContentInfo
      std::string_view info = field->content;
      if (!IsObject(NextElement(info), NID_pkcs7_data)) return not_ours;
      const auto algorithm = NextElement(info);
      if (!Is(algorithm, V_ASN1_SEQUENCE)) return not_ours;
      std::string_view parts = algorithm->content;
      gcm = IsObject(NextElement(parts), NID_aes_256_gcm);
    } else if (Is(field, V_ASN1_OCTET_STRING)) {
      if (!gcm) return not_ours;
      if (field->content.size() == kTagBytes) return absl::OkStatus();
      return Broken("its authentication tag is shorter than 16 bytes");
    }
  }
  return not_ours;
}

absl::StatusOr<std::string> DerOfPem(std::string_view pem) {
  if (pem.size() > kMaxSealedBytes) {
    return Broken(fmt::format("it is larger than {} bytes", kMaxSealedBytes));
  }
  const internal::BioPtr bio = internal::ReadBio(pem);
  unsigned char* data = nullptr;
  long size = 0;
  if (PEM_bytes_read_bio(&data, &size, nullptr, PEM_STRING_CMS, bio.get(), nullptr, nullptr) != 1) {
    ERR_clear_error();
    return Broken("it has no \"BEGIN CMS\" block");
  }
  std::string der(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
  OPENSSL_free(data);
  return der;
}

bool IsRecipient(CMS_ContentInfo* cms, X509* certificate) {
  STACK_OF(CMS_RecipientInfo)* recipients = CMS_get0_RecipientInfos(cms);
  for (int i = 0; i < sk_CMS_RecipientInfo_num(recipients); ++i) {
    CMS_RecipientInfo* recipient = sk_CMS_RecipientInfo_value(recipients, i);
    if (CMS_RecipientInfo_type(recipient) != CMS_RECIPINFO_AGREE) continue;
    STACK_OF(CMS_RecipientEncryptedKey)* keys = CMS_RecipientInfo_kari_get0_reks(recipient);
    for (int k = 0; k < sk_CMS_RecipientEncryptedKey_num(keys); ++k) {
      if (CMS_RecipientEncryptedKey_cert_cmp(sk_CMS_RecipientEncryptedKey_value(keys, k),
                                             certificate) == 0) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<std::string> Seal(std::string_view document,
                                 std::string_view recipient_certificate_pem) {
  if (document.size() > kMaxSealedDocument) {
    return MakeError(StatusCode::kInvalidArgument, "",
                     fmt::format("only {} bytes can be sealed", kMaxSealedDocument));
  }
  SLIPWAY_ASSIGN_OR_RETURN(const internal::X509Ptr recipient,
                           internal::ParseCertificate(recipient_certificate_pem));
  if (EVP_PKEY_get_base_id(X509_get0_pubkey(recipient.get())) != EVP_PKEY_EC) {
    return MakeError(StatusCode::kInvalidArgument, "", "the certificate to seal for has no EC key",
                     "Use the farm's encryption certificate: `slipway credentials certificate`.");
  }
  const internal::CmsPtr cms(CMS_AuthEnvelopedData_create(EVP_aes_256_gcm()));
  CMS_RecipientInfo* info =
      cms == nullptr ? nullptr : CMS_add1_recipient_cert(cms.get(), recipient.get(), CMS_KEY_PARAM);
  // OpenSSL would derive the wrapping key with SHA-1.
  if (info == nullptr ||
      EVP_PKEY_CTX_set_ecdh_kdf_md(CMS_RecipientInfo_get0_pkey_ctx(info), EVP_sha256()) <= 0) {
    return StatusFromOpenSsl(StatusCode::kInternal, "cannot prepare the seal");
  }
  // A fresh object is detached: without its content.
  if (CMS_set_detached(cms.get(), 0) != 1) {
    return StatusFromOpenSsl(StatusCode::kInternal, "cannot prepare the seal");
  }
  const internal::BioPtr plain = internal::ReadBio(document);
  const internal::BioPtr pem = internal::MemoryBio(/*secret=*/false);
  if (CMS_final(cms.get(), plain.get(), nullptr, kFlags) != 1 ||
      PEM_write_bio_CMS_stream(pem.get(), cms.get(), nullptr, 0) != 1) {
    return StatusFromOpenSsl(StatusCode::kInternal, "cannot seal");
  }
  return std::string(internal::BioView(pem.get()));
}

absl::StatusOr<SecretBytes> Open(std::string_view sealed_pem, std::string_view certificate_pem,
                                 std::string_view key_pem) {
  SLIPWAY_ASSIGN_OR_RETURN(const internal::X509Ptr certificate,
                           internal::ParseCertificate(certificate_pem));
  SLIPWAY_ASSIGN_OR_RETURN(const internal::PkeyPtr key, internal::ParsePrivateKey(key_pem));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string der, DerOfPem(sealed_pem));
  SLIPWAY_RETURN_IF_ERROR(CheckStrength(der));
  const auto* position = reinterpret_cast<const unsigned char*>(der.data());
  const internal::CmsPtr cms(
      d2i_CMS_ContentInfo(nullptr, &position, static_cast<long>(der.size())));
  if (cms == nullptr) {
    ERR_clear_error();
    return Broken("its structure is damaged");
  }
  if (!IsRecipient(cms.get(), certificate.get())) {
    return MakeError(StatusCode::kPermissionDenied, "SEAL_FOREIGN_KEY",
                     "the sealed file was made for another farm's certificate",
                     "Seal it again with this farm's certificate: `slipway credentials seal`.");
  }
  const internal::BioPtr plain = internal::MemoryBio(/*secret=*/true);
  if (CMS_decrypt(cms.get(), key.get(), certificate.get(), nullptr, plain.get(), kFlags) != 1) {
    ERR_clear_error();
    return Broken("its content was changed after it was sealed");
  }
  return SecretBytes::CopyOf(internal::BioView(plain.get()));
}

}  // namespace slipway::crypto
