#include "common/crypto/repository_credential.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "common/crypto/cms.h"
#include "common/crypto/credential.h"
#include "common/crypto/pki.h"
#include "common/crypto/ssh_key.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::crypto {
namespace {

using absl::StatusCode;
using testing::ReadFile;
using testing::StatusIs;
using testing::TempDir;

const WallTime kNow = WallTime(std::chrono::seconds(1'800'000'000));
const FarmId kFarm("farm-1");
const ApplicationId kShop("11111111-1111-4111-8111-111111111111");
const RepositoryBinding kHere{kFarm, kShop, "https://git.example"};
constexpr char kPassword[] = "p4ss/word with \"quotes\"";

KeyAndCertificate NewFarm() {
  auto pair = CreateEncryptionCertificate(kFarm, kNow);
  REQUIRE_OK(pair);
  return *std::move(pair);
}

RepositoryCredential Https(const std::string& user, const std::string& password) {
  return {RepositoryCredentialKind::kHttps, user, SecretBytes::CopyOf(password), ""};
}
RepositoryCredential Ssh(const std::string& key, const std::string& known_hosts = "") {
  return {RepositoryCredentialKind::kSsh, "", SecretBytes::CopyOf(key), known_hosts};
}

// What ssh-keygen writes with these arguments.
std::string NewKey(const std::string& arguments) {
  const TempDir dir;
  REQUIRE(std::system(("ssh-keygen -q -f " + dir.path() + "/key " + arguments).c_str()) == 0);
  return ReadFile(dir / "key");
}

TEST_CASE("RepositoryCredential: what is sealed for an application is opened for it",
          "[unit][crypto]") {
  const KeyAndCertificate farm = NewFarm();
  const auto sealed =
      SealRepositoryCredential(kHere, Https("bob", kPassword), farm.certificate_pem);
  REQUIRE_OK(sealed);
  CHECK(sealed->find("p4ss") == std::string::npos);
  const auto opened =
      OpenRepositoryCredential(*sealed, farm.certificate_pem, farm.key_pem.view(), kHere);
  REQUIRE_OK(opened);
  CHECK(opened->kind == RepositoryCredentialKind::kHttps);
  CHECK(opened->username == "bob");
  CHECK(opened->secret.view() == kPassword);

  const std::string key = NewKey("-t ed25519 -N ''");
  const std::string hosts = "# ours\ngit.example ssh-ed25519 AAAA\n@revoked * ssh-rsa BBBB\n";
  const auto ssh = SealRepositoryCredential(kHere, Ssh(key, hosts), farm.certificate_pem);
  REQUIRE_OK(ssh);
  const auto again =
      OpenRepositoryCredential(*ssh, farm.certificate_pem, farm.key_pem.view(), kHere);
  REQUIRE_OK(again);
  CHECK(again->kind == RepositoryCredentialKind::kSsh);
  CHECK(again->secret.view() == key);
  CHECK(again->known_hosts == hosts);

  RepositoryCredential own = Https("bob", kPassword);
  own.ca_certificates = "our company\n" + farm.certificate_pem + NewFarm().certificate_pem;
  const auto https = SealRepositoryCredential(kHere, own, farm.certificate_pem);
  REQUIRE_OK(https);
  const auto third =
      OpenRepositoryCredential(*https, farm.certificate_pem, farm.key_pem.view(), kHere);
  REQUIRE_OK(third);
  CHECK(third->ca_certificates == own.ca_certificates);
  CHECK(third->Clone().ca_certificates == own.ca_certificates);
}

TEST_CASE("RepositoryCredential: one from before servers could have authorities of their own opens",
          "[unit][crypto]") {
  const KeyAndCertificate farm = NewFarm();
  const auto sealed = Seal(
      R"({"version":1,"purpose":"repository","farm":"farm-1","application":"11111111-1111-4111-8111-111111111111",)"
      R"("origin":"https://git.example","kind":"https","username":"bob","knownHosts":"","secret":"x"})",
      farm.certificate_pem);
  REQUIRE_OK(sealed);
  const auto opened =
      OpenRepositoryCredential(*sealed, farm.certificate_pem, farm.key_pem.view(), kHere);
  REQUIRE_OK(opened);
  CHECK(opened->username == "bob");
  CHECK(opened->ca_certificates.empty());
}

TEST_CASE("RepositoryCredential: another farm, application, server or purpose gets nothing",
          "[unit][crypto]") {
  const KeyAndCertificate farm = NewFarm();
  const auto sealed =
      SealRepositoryCredential(kHere, Https("bob", kPassword), farm.certificate_pem);
  REQUIRE_OK(sealed);
  const auto open = [&](const RepositoryBinding& expected) {
    return OpenRepositoryCredential(*sealed, farm.certificate_pem, farm.key_pem.view(), expected)
        .status();
  };
  for (const absl::Status& status : {open({FarmId("farm-2"), kShop, kHere.origin}),
                                     open({kFarm, ApplicationId("another"), kHere.origin}),
                                     open({kFarm, kShop, "https://evil.example"})}) {
    CHECK_THAT(status, StatusIs(StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN"));
    CHECK(std::string(status.message()).find("p4ss") == std::string::npos);
  }
  for (const char* platform : {"weixin", "repository", ""}) {
    CHECK_THAT(
        OpenCredential(*sealed, farm.certificate_pem, farm.key_pem.view(), {kFarm, kShop, platform})
            .status(),
        StatusIs(StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN"));
  }
  for (const char* platform : {"weixin", "repository"}) {
    Credential publishing{"weixin-upload-key", "wx1", SecretBytes::CopyOf("key")};
    const auto other = SealCredential({kFarm, kShop, platform}, publishing, farm.certificate_pem);
    REQUIRE_OK(other);
    CHECK_THAT(
        OpenRepositoryCredential(*other, farm.certificate_pem, farm.key_pem.view(), kHere).status(),
        StatusIs(StatusCode::kPermissionDenied, "CREDENTIAL_FOREIGN"));
  }
  CHECK_FALSE(
      OpenRepositoryCredential("nonsense", farm.certificate_pem, farm.key_pem.view(), kHere).ok());
}

TEST_CASE("RepositoryCredential: what git could not use is refused before it is sealed",
          "[unit][crypto]") {
  for (const RepositoryCredential& bad :
       {Https("", "x"), Https("bob", ""), Https("bob\nhost=evil", "x"), Https("bob", "x\ny"),
        Https(std::string(257, 'u'), "x"), Https("bob", std::string(5000, 'x'))}) {
    const absl::Status status = CheckRepositoryCredential(bad);
    CHECK_THAT(status, StatusIs(StatusCode::kInvalidArgument, "BAD_REPOSITORY_CREDENTIAL"));
  }
  RepositoryCredential mixed = Https("bob", "x");
  mixed.known_hosts = "git.example ssh-ed25519 AAAA\n";
  CHECK_FALSE(CheckRepositoryCredential(mixed).ok());
  const std::string certificate = NewFarm().certificate_pem;
  for (const std::string& authorities :
       {std::string("git.example"), std::string("-----BEGIN CERTIFICATE-----\nAAAA\n"),
        certificate + certificate.substr(0, certificate.size() / 2),
        certificate + "-----BEGIN EC PRIVATE KEY-----\n", certificate + std::string(40'000, '#')}) {
    RepositoryCredential own = Https("bob", "x");
    own.ca_certificates = authorities;
    CHECK_THAT(CheckRepositoryCredential(own),
               StatusIs(StatusCode::kInvalidArgument, "BAD_REPOSITORY_CREDENTIAL"));
  }
  const std::string key = NewKey("-t ed25519 -N ''");
  for (const std::string& hosts :
       {std::string("git.example ssh-ed25519"), std::string("a b c\n\x01 b c"),
        std::string("@revoked * ssh-rsa"), std::string(20'000, '#')}) {
    CHECK_THAT(CheckRepositoryCredential(Ssh(key, hosts)),
               StatusIs(StatusCode::kInvalidArgument, "BAD_REPOSITORY_CREDENTIAL"));
  }
  RepositoryCredential mistaken = Ssh(key);
  mistaken.ca_certificates = certificate;
  CHECK_FALSE(CheckRepositoryCredential(mistaken).ok());
}

TEST_CASE("SshKey: type and fingerprint are those that ssh-keygen tells", "[unit][crypto]") {
  const TempDir dir;
  for (const std::string arguments : {"-t ed25519", "-t ecdsa -b 384", "-t rsa -b 2048"}) {
    INFO(arguments);
    const std::string file = dir.path() + "/key-" + std::to_string(arguments.size());
    REQUIRE(std::system(("ssh-keygen -q -N '' -f " + file + " " + arguments).c_str()) == 0);
    REQUIRE(std::system(("ssh-keygen -lf " + file + ".pub >" + file + ".print").c_str()) == 0);
    const auto key = ReadSshKey(ReadFile(file));
    REQUIRE_OK(key);
    CHECK(ReadFile(file + ".print").find(" " + key->fingerprint + " ") != std::string::npos);
    CHECK(ReadFile(file + ".pub").rfind(key->type + " ", 0) == 0);
  }
}

TEST_CASE("SshKey: one that cannot be used alone is refused, saying why", "[unit][crypto]") {
  const auto why = [](const std::string& text) {
    const absl::Status status = ReadSshKey(text).status();
    CHECK_THAT(status, StatusIs(StatusCode::kInvalidArgument, "BAD_SSH_KEY"));
    return std::string(status.message());
  };
  const std::string good = NewKey("-t ed25519 -N ''");
  CHECK_THAT(why(NewKey("-t ed25519 -N secret")), Catch::Contains("passphrase"));
  CHECK_THAT(why(NewKey("-t rsa -b 2048 -m PEM -N ''")), Catch::Contains("OpenSSH's own form"));
  CHECK_THAT(why("ssh-ed25519 AAAAC3Nz bob"), Catch::Contains("public"));
  CHECK_THAT(why("hello"), Catch::Contains("no private key"));
  CHECK_THAT(why(""), Catch::Contains("no private key"));
  CHECK_THAT(why(std::string(20'000, 'x')), Catch::Contains("larger"));
  // Every beginning, and every changed byte, is refused or read, and never runs over the end.
  for (std::size_t size = 0; size + 2 < good.size(); ++size) {
    CHECK_FALSE(ReadSshKey(good.substr(0, size)).ok());
  }
  for (std::size_t at = 36; at < good.size(); ++at) {
    std::string changed = good;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    (void)ReadSshKey(changed);
  }
}

}  // namespace
}  // namespace slipway::crypto
