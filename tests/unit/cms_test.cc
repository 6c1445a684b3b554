#include "common/crypto/cms.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "common/crypto/credential.h"
#include "common/crypto/key_file.h"
#include "common/crypto/pki.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::crypto {
namespace {

using absl::StatusCode;
using testing::ReadFile;
using testing::StatusIs;
using testing::TempDir;
using testing::WriteFile;

const WallTime kNow = WallTime(std::chrono::seconds(1'800'000'000));
constexpr char kDocument[] = "{\"secret\":\"open sesame\"}";

KeyAndCertificate NewRecipient() {
  auto pair = CreateEncryptionCertificate(FarmId("farm-1"), kNow);
  REQUIRE_OK(pair);
  return *std::move(pair);
}

int Openssl(const TempDir& dir, const std::string& arguments) {
  return std::system(("cd '" + dir.path() + "' && openssl " + arguments + " 2>/dev/null").c_str());
}

// The DER of a sealed PEM and back, by the openssl program.
std::string ToDer(const TempDir& dir, const std::string& pem) {
  WriteFile(dir / "in.pem", pem);
  REQUIRE(Openssl(dir, "cms -cmsout -inform PEM -in in.pem -outform DER -out out.der") == 0);
  return ReadFile(dir / "out.der");
}
std::string ToPem(const TempDir& dir, const std::string& der) {
  WriteFile(dir / "raw.der", der);
  REQUIRE(Openssl(dir, "base64 -in raw.der -out raw.b64") == 0);
  return "-----BEGIN CMS-----\n" + ReadFile(dir / "raw.b64") + "-----END CMS-----\n";
}

TEST_CASE("Seal: only the recipient's key gives the document back", "[unit][crypto]") {
  const KeyAndCertificate farm = NewRecipient();
  const KeyAndCertificate other = NewRecipient();
  const auto sealed = Seal(kDocument, farm.certificate_pem);
  REQUIRE_OK(sealed);
  CHECK(sealed->find("sesame") == std::string::npos);
  const auto opened = Open(*sealed, farm.certificate_pem, farm.key_pem.view());
  REQUIRE_OK(opened);
  CHECK(opened->view() == kDocument);
  CHECK_THAT(Open(*sealed, other.certificate_pem, other.key_pem.view()).status(),
             StatusIs(StatusCode::kPermissionDenied, "SEAL_FOREIGN_KEY"));
  CHECK_FALSE(Open(*sealed, farm.certificate_pem, other.key_pem.view()).ok());
}

TEST_CASE("Seal: sealing twice gives different files; an empty document works", "[unit][crypto]") {
  const KeyAndCertificate farm = NewRecipient();
  CHECK(Seal(kDocument, farm.certificate_pem).value() !=
        Seal(kDocument, farm.certificate_pem).value());
  const auto opened =
      Open(Seal("", farm.certificate_pem).value(), farm.certificate_pem, farm.key_pem.view());
  REQUIRE_OK(opened);
  CHECK(opened->empty());
  CHECK_THAT(Seal(std::string(kMaxSealedDocument + 1, 'x'), farm.certificate_pem).status(),
             StatusIs(StatusCode::kInvalidArgument));
}

TEST_CASE("Seal: `openssl cms` opens what Slipway sealed, and the other way round",
          "[unit][crypto]") {
  const TempDir dir;
  const KeyAndCertificate farm = NewRecipient();
  REQUIRE_OK(WriteSecretFile(dir / "key.pem", farm.key_pem.view()));
  WriteFile(dir / "cert.pem", farm.certificate_pem);
  WriteFile(dir / "sealed.pem", Seal(kDocument, farm.certificate_pem).value());
  REQUIRE(Openssl(dir, "cms -decrypt -inform PEM -in sealed.pem -inkey key.pem -out plain") == 0);
  CHECK(ReadFile(dir / "plain") == kDocument);

  WriteFile(dir / "doc", kDocument);
  REQUIRE(
      Openssl(dir,
              "cms -encrypt -aes-256-gcm -binary -in doc -outform PEM -out by-cli.pem cert.pem") ==
      0);
  const auto opened = Open(ReadFile(dir / "by-cli.pem"), farm.certificate_pem, farm.key_pem.view());
  REQUIRE_OK(opened);
  CHECK(opened->view() == kDocument);
}

TEST_CASE("Open: no changed byte gives a changed document", "[unit][crypto]") {
  const TempDir dir;
  const KeyAndCertificate farm = NewRecipient();
  const std::string der = ToDer(dir, Seal(kDocument, farm.certificate_pem).value());
  REQUIRE(der.size() > 200);
  std::size_t refused = 0;
  for (std::size_t i = 0; i < der.size(); ++i) {
    std::string changed = der;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto opened = Open(ToPem(dir, changed), farm.certificate_pem, farm.key_pem.view());
    refused += opened.ok() ? 0 : 1;
    // Some header bytes (a version number) carry nothing that could change the document.
    if (opened.ok()) REQUIRE(opened->view() == kDocument);
    // The ciphertext and the tag are the last bytes of the file.
    if (i + 16 + 2 + sizeof(kDocument) - 1 >= der.size()) REQUIRE_FALSE(opened.ok());
  }
  CHECK(refused > der.size() - 20);
}

TEST_CASE("Open: a shortened tag is refused even where its bytes are right", "[unit][crypto]") {
  const TempDir dir;
  const KeyAndCertificate farm = NewRecipient();
  std::string der = ToDer(dir, Seal(kDocument, farm.certificate_pem).value());
  // The last element is the OCTET STRING of the tag: 04 10 and 16 bytes. Leave one of them.
  REQUIRE(der.substr(der.size() - 18, 2) == std::string("\x04\x10", 2));
  der.resize(der.size() - 15);
  der[der.size() - 2] = 1;
  // SEQUENCE { OID, [0] { SEQUENCE { … } } }: the three lengths shrink by 15.
  const std::size_t oid_end = 4 + 2 + static_cast<unsigned char>(der[5]);
  for (const std::size_t header : {std::size_t{0}, oid_end, oid_end + 4}) {
    REQUIRE(static_cast<unsigned char>(der[header + 1]) == 0x82);
    const unsigned length = (static_cast<unsigned char>(der[header + 2]) << 8) +
                            static_cast<unsigned char>(der[header + 3]) - 15U;
    der[header + 2] = static_cast<char>(length >> 8);
    der[header + 3] = static_cast<char>(length & 0xff);
  }
  CHECK_THAT(Open(ToPem(dir, der), farm.certificate_pem, farm.key_pem.view()).status(),
             StatusIs(StatusCode::kInvalidArgument, "tag is shorter"));
}

TEST_CASE("Open: unauthenticated and foreign kinds of files are refused", "[unit][crypto]") {
  const TempDir dir;
  const KeyAndCertificate farm = NewRecipient();
  WriteFile(dir / "cert.pem", farm.certificate_pem);
  WriteFile(dir / "doc", kDocument);
  REQUIRE(Openssl(dir, "cms -encrypt -aes-256-cbc -in doc -outform PEM -out cbc.pem cert.pem") ==
          0);
  CHECK_THAT(Open(ReadFile(dir / "cbc.pem"), farm.certificate_pem, farm.key_pem.view()).status(),
             StatusIs(StatusCode::kInvalidArgument, "SEAL_BROKEN"));
  for (const std::string& junk : {std::string(), std::string("hello"), ToPem(dir, "junk"),
                                  std::string(kMaxSealedBytes + 1, 'x')}) {
    CHECK_THAT(Open(junk, farm.certificate_pem, farm.key_pem.view()).status(),
               StatusIs(StatusCode::kInvalidArgument, "SEAL_BROKEN"));
  }
}

const CredentialBinding kBinding{FarmId("farm-1"),
                                 ApplicationId("6f1c2a58-9a3e-4a57-8e0c-0d4f8f6f3c11"), "weixin"};
constexpr char kKey[] = "-----BEGIN KEY-----\n\"quoted\" \\ \xc3\xa9\n-----END KEY-----\n";

Credential NewCredential(std::string_view secret = kKey) {
  Credential credential;
  credential.kind = "weixin-upload-key";
  credential.app_id = "wx0123456789abcdef";
  credential.secret = SecretBytes::CopyOf(secret);
  return credential;
}

TEST_CASE("Credential: opens for the farm, application and platform it was sealed for",
          "[unit][crypto]") {
  const KeyAndCertificate farm = NewRecipient();
  const auto sealed = SealCredential(kBinding, NewCredential(), farm.certificate_pem);
  REQUIRE_OK(sealed);
  const auto opened = OpenCredential(*sealed, farm.certificate_pem, farm.key_pem.view(), kBinding);
  REQUIRE_OK(opened);
  CHECK(opened->kind == "weixin-upload-key");
  CHECK(opened->app_id == "wx0123456789abcdef");
  CHECK(opened->secret.view() == kKey);
}

TEST_CASE("Credential: copied into another application, platform or farm it opens nothing",
          "[unit][crypto]") {
  const KeyAndCertificate farm = NewRecipient();
  const auto sealed = SealCredential(kBinding, NewCredential(), farm.certificate_pem);
  REQUIRE_OK(sealed);
  CredentialBinding application = kBinding;
  application.application = ApplicationId("00000000-0000-4000-8000-000000000000");
  CredentialBinding platform = kBinding;
  platform.platform = "alipay";
  CredentialBinding other_farm = kBinding;
  other_farm.farm = FarmId("farm-2");
  for (const auto& [wanted, expected] :
       {std::pair{application, "00000000-0000-4000-8000-000000000000"},
        std::pair{platform, "alipay"}, std::pair{other_farm, "farm-2"}}) {
    const absl::Status status =
        OpenCredential(*sealed, farm.certificate_pem, farm.key_pem.view(), wanted).status();
    CHECK_THAT(status, StatusIs(StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN"));
    CHECK_THAT(status, StatusIs(StatusCode::kPermissionDenied, expected));
    CHECK(Describe(status).find("quoted") == std::string::npos);
  }
}

TEST_CASE("Credential: what is not a credential document is refused without quoting it",
          "[unit][crypto]") {
  const KeyAndCertificate farm = NewRecipient();
  for (const char* document :
       {"", "sesame", "[]", "{\"version\":2,\"secret\":\"sesame\"}", "{\"version\":1}",
        "{\"version\":1,\"farm\":7}", "{\"secret\":\"sesame\"", "{\"a\":{\"b\":{\"c\":1}}}",
        "{\"version\":1,\"farm\":\"farm-1\",\"application\":\"6f1c2a58-9a3e-4a57-8e0c-"
        "0d4f8f6f3c11\","
        "\"platform\":\"weixin\",\"kind\":\"\",\"appId\":\"x\",\"secret\":\"sesame\"}"}) {
    const auto sealed = Seal(document, farm.certificate_pem);
    REQUIRE_OK(sealed);
    const absl::Status status =
        OpenCredential(*sealed, farm.certificate_pem, farm.key_pem.view(), kBinding).status();
    CHECK_THAT(status, StatusIs(StatusCode::kInvalidArgument, "CREDENTIAL_BROKEN"));
    CHECK(Describe(status).find("sesame") == std::string::npos);
  }
}

TEST_CASE("Credential: an empty, oversized or non-UTF-8 secret is not sealed", "[unit][crypto]") {
  const KeyAndCertificate farm = NewRecipient();
  for (const std::string& secret : {std::string(), std::string(64 * 1024 + 1, 'x'),
                                    std::string("\xff\xfe"), std::string(64 * 1024, '\1')}) {
    CHECK_THAT(SealCredential(kBinding, NewCredential(secret), farm.certificate_pem).status(),
               StatusIs(StatusCode::kInvalidArgument, "CREDENTIAL_BROKEN"));
  }
  const auto largest =
      SealCredential(kBinding, NewCredential(std::string(64 * 1024, 'x')), farm.certificate_pem);
  REQUIRE_OK(largest);
  CHECK_OK(OpenCredential(*largest, farm.certificate_pem, farm.key_pem.view(), kBinding));
}

}  // namespace
}  // namespace slipway::crypto
