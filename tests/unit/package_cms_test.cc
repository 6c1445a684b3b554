#include "common/crypto/package_cms.h"

#include <fcntl.h>
#include <stdlib.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/fs/unique_fd.h"
#include "common/status/status.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::crypto {
namespace {

using absl::StatusCode;
using testing::ReadFile;
using testing::StatusIs;
using testing::TempDir;
using testing::WriteFile;

constexpr char kPassword[] = "correct horse battery";
constexpr PackageCipher kAll[] = {PackageCipher::kAes256Gcm, PackageCipher::kAes256Cbc,
                                  PackageCipher::kSm4Cbc};

int Run(const TempDir& dir, const std::string& command) {
  return std::system(("cd '" + dir.path() + "' && " + command + " >/dev/null 2>&1").c_str());
}

// NAME.key and NAME.pem; `kind` as `openssl req -newkey` takes it.
void MakeRecipient(const TempDir& dir, const std::string& name, const std::string& kind,
                   const std::string& more = "") {
  REQUIRE(Run(dir, "openssl req -x509 -nodes -subj /CN=" + name + " -newkey " + kind + " -keyout " +
                       name + ".key -out " + name + ".pem " + more) == 0);
}
constexpr char kP256[] = "ec -pkeyopt ec_paramgen_curve:P-256";

PackageRecipients For(const TempDir& dir, const std::vector<std::string>& names) {
  PackageRecipients recipients;
  for (const std::string& name : names) {
    recipients.certificates.push_back(ReadFile(dir / (name + ".pem")));
  }
  return recipients;
}
PackageRecipients ForPassword(std::string_view password = kPassword) {
  PackageRecipients recipients;
  recipients.password = SecretBytes::CopyOf(password);
  return recipients;
}
PackageKey KeyOf(const TempDir& dir, const std::string& name) {
  PackageKey key;
  key.private_key = SecretBytes::CopyOf(ReadFile(dir / (name + ".key")));
  return key;
}
PackageKey PasswordOf(std::string_view password = kPassword) {
  PackageKey key;
  key.password = SecretBytes::CopyOf(password);
  return key;
}

// Bytes that repeat nowhere soon.
std::string Content(std::size_t size) {
  std::mt19937 random(7);
  std::string content(size, '\0');
  for (char& c : content) c = static_cast<char>(random());
  return content;
}

std::string SealPackage(PackageCipher cipher, const PackageRecipients& recipients,
                        const std::string& content) {
  REQUIRE_OK(CheckPackageRecipients(recipients, SystemClock().Wall()));
  std::string sealed;
  auto sealer = PackageSealer::Create(cipher, recipients, [&](std::string_view bytes) {
    sealed += bytes;
    return absl::OkStatus();
  });
  REQUIRE_OK(sealer);
  // In uneven pieces, as an archive writes them.
  for (std::size_t at = 0; at < content.size(); at += 7001) {
    REQUIRE_OK(sealer->Append(std::string_view(content).substr(at, 7001)));
  }
  REQUIRE_OK(sealer->Finish());
  return sealed;
}

absl::StatusOr<std::string> OpenBytes(const TempDir& dir, const std::string& sealed,
                                      const PackageKey& key) {
  WriteFile(dir / "try.cms", sealed);
  const fs::UniqueFd file(open((dir / "try.cms").c_str(), O_RDONLY | O_CLOEXEC));
  std::string plain;
  SLIPWAY_RETURN_IF_ERROR(OpenPackage(file.get(), key, [&](std::string_view bytes) {
    plain += bytes;
    return absl::OkStatus();
  }));
  return plain;
}

TEST_CASE("Packages: every cipher opens for each recipient, with Slipway and with openssl",
          "[unit][crypto]") {
  const TempDir dir;
  MakeRecipient(dir, "rsa", "rsa:2048");
  MakeRecipient(dir, "ec", kP256);
  MakeRecipient(dir, "p521", "ec -pkeyopt ec_paramgen_curve:P-521");
  MakeRecipient(dir, "other", kP256);
  const std::string content = Content(300'001);
  for (const PackageCipher cipher : kAll) {
    INFO(PackageCipherName(cipher));
    const std::string sealed = SealPackage(cipher, For(dir, {"rsa", "ec", "p521"}), content);
    CHECK(sealed.find(content.substr(1000, 16)) == std::string::npos);
    WriteFile(dir / "sealed", sealed);
    for (const std::string name : {"rsa", "ec", "p521"}) {
      INFO(name);
      const auto opened = OpenBytes(dir, sealed, KeyOf(dir, name));
      REQUIRE_OK(opened);
      CHECK(*opened == content);
      REQUIRE(Run(dir, "openssl cms -decrypt -inform DER -in sealed -inkey " + name +
                           ".key -out plain") == 0);
      CHECK(ReadFile(dir / "plain") == content);
    }
    const auto foreign = OpenBytes(dir, sealed, KeyOf(dir, "other"));
    CHECK_FALSE(foreign.ok());
  }
}

TEST_CASE("Packages: a password opens them, with Slipway and with openssl; a wrong one does not",
          "[unit][crypto]") {
  const TempDir dir;
  MakeRecipient(dir, "ec", kP256);
  const std::string content = Content(10'000);
  for (const PackageCipher cipher : kAll) {
    INFO(PackageCipherName(cipher));
    const std::string sealed = SealPackage(cipher, ForPassword(), content);
    WriteFile(dir / "sealed", sealed);
    const auto opened = OpenBytes(dir, sealed, PasswordOf());
    REQUIRE_OK(opened);
    CHECK(*opened == content);
    REQUIRE(Run(dir,
                "openssl cms -decrypt -inform DER -in sealed -pwri_password 'correct horse "
                "battery' -out plain") == 0);
    CHECK(ReadFile(dir / "plain") == content);
    CHECK(Run(dir,
              "openssl cms -decrypt -inform DER -in sealed -pwri_password 'correct horse' -out "
              "wrong") != 0);
    CHECK_THAT(OpenBytes(dir, sealed, PasswordOf("correct horse")).status(),
               StatusIs(StatusCode::kPermissionDenied, "PACKAGE_KEY"));
    CHECK_FALSE(OpenBytes(dir, sealed, KeyOf(dir, "ec")).ok());
  }
}

TEST_CASE("Packages: contents of one byte and of many pieces come back", "[unit][crypto]") {
  const TempDir dir;
  MakeRecipient(dir, "ec", kP256);
  for (const std::size_t size : {1U, 15U, 16U, 4096U, 4097U, 3'000'000U}) {
    const std::string content = Content(size);
    const auto opened = OpenBytes(
        dir, SealPackage(PackageCipher::kAes256Gcm, For(dir, {"ec"}), content), KeyOf(dir, "ec"));
    REQUIRE_OK(opened);
    CHECK(*opened == content);
  }
}

TEST_CASE("Packages: one changed byte never gives another content, and none of it is let through",
          "[unit][crypto]") {
  const TempDir dir;
  MakeRecipient(dir, "ec", kP256);
  const std::string content = Content(20'000);
  const std::string sealed = SealPackage(PackageCipher::kAes256Gcm, For(dir, {"ec"}), content);
  const PackageKey key = KeyOf(dir, "ec");
  const std::size_t header = sealed.size() - content.size() - 100;
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < header && i < 700; ++i) positions.push_back(i);
  for (std::size_t i = sealed.size() - 40; i < sealed.size(); ++i) positions.push_back(i);
  std::mt19937 random(11);
  for (int i = 0; i < 300; ++i) positions.push_back(random() % sealed.size());
  std::size_t unnoticed = 0;
  for (const std::size_t at : positions) {
    INFO(at);
    std::string changed = sealed;
    changed[at] = static_cast<char>(changed[at] ^ (1U << (random() % 8)));
    const auto opened = OpenBytes(dir, changed, key);
    if (!opened.ok()) continue;
    // What names the recipient, and version numbers, carry nothing that could change the content.
    REQUIRE(*opened == content);
    REQUIRE(at < 500);
    ++unnoticed;
  }
  CHECK(unnoticed < 120);
}

TEST_CASE("Packages: openssl refuses a changed byte of the content or the tag", "[unit][crypto]") {
  const TempDir dir;
  MakeRecipient(dir, "ec", kP256);
  const std::string content = Content(20'000);
  const std::string sealed = SealPackage(PackageCipher::kAes256Gcm, For(dir, {"ec"}), content);
  std::mt19937 random(12);
  for (int i = 0; i < 40; ++i) {
    const std::size_t at = 500 + random() % (sealed.size() - 500);
    INFO(at);
    std::string changed = sealed;
    changed[at] = static_cast<char>(changed[at] ^ 0x20);
    WriteFile(dir / "changed", changed);
    CHECK(Run(dir, "openssl cms -decrypt -inform DER -in changed -inkey ec.key -out plain") != 0);
  }
}

TEST_CASE("Packages: a file that was cut, or grew, is refused", "[unit][crypto]") {
  const TempDir dir;
  MakeRecipient(dir, "ec", kP256);
  for (const PackageCipher cipher : kAll) {
    INFO(PackageCipherName(cipher));
    const std::string sealed = SealPackage(cipher, For(dir, {"ec"}), Content(9000));
    for (std::size_t size = 0; size < sealed.size(); size += size < 600 ? 7 : 501) {
      INFO(size);
      CHECK_THAT(OpenBytes(dir, sealed.substr(0, size), KeyOf(dir, "ec")).status(),
                 StatusIs(StatusCode::kInvalidArgument, "PACKAGE_BROKEN"));
    }
    CHECK_THAT(OpenBytes(dir, sealed.substr(0, sealed.size() - 1), KeyOf(dir, "ec")).status(),
               StatusIs(StatusCode::kInvalidArgument, "PACKAGE_BROKEN"));
    CHECK_THAT(OpenBytes(dir, sealed + "x", KeyOf(dir, "ec")).status(),
               StatusIs(StatusCode::kInvalidArgument, "PACKAGE_BROKEN"));
  }
}

TEST_CASE("Packages: a shortened tag is refused even where its bytes are right", "[unit][crypto]") {
  const TempDir dir;
  MakeRecipient(dir, "ec", kP256);
  std::string sealed = SealPackage(PackageCipher::kAes256Gcm, For(dir, {"ec"}), Content(5000));
  // The tag is followed by the ends of the three elements it is in: 04 10, 16 bytes, 6 zeros.
  const std::size_t tag = sealed.size() - 6 - 18;
  REQUIRE(sealed.substr(tag, 2) == std::string("\x04\x10", 2));
  REQUIRE(sealed.substr(sealed.size() - 6) == std::string(6, '\0'));
  sealed[tag + 1] = 4;
  sealed.erase(tag + 6, 12);
  CHECK_THAT(OpenBytes(dir, sealed, KeyOf(dir, "ec")).status(),
             StatusIs(StatusCode::kInvalidArgument, "tag is not of 16 bytes"));
}

TEST_CASE("Packages: what they are is told before they are opened", "[unit][crypto]") {
  const TempDir dir;
  MakeRecipient(dir, "ec", kP256);
  for (const PackageCipher cipher : kAll) {
    for (const bool password : {true, false}) {
      WriteFile(dir / "sealed",
                SealPackage(cipher, password ? ForPassword() : For(dir, {"ec"}), "content"));
      const fs::UniqueFd file(open((dir / "sealed").c_str(), O_RDONLY | O_CLOEXEC));
      const auto facts = ReadPackageFacts(file.get());
      REQUIRE_OK(facts);
      CHECK(facts->cipher == cipher);
      CHECK(facts->for_password == password);
    }
    CHECK(PackageCipherOf(PackageCipherName(cipher)) == cipher);
  }
  CHECK(IsAuthenticated(PackageCipher::kAes256Gcm));
  CHECK_FALSE(IsAuthenticated(PackageCipher::kAes256Cbc));
  CHECK_FALSE(IsAuthenticated(PackageCipher::kSm4Cbc));
  CHECK_FALSE(PackageCipherOf("des-cbc").has_value());
}

absl::Status FactsOf(const TempDir& dir, const std::string& package) {
  WriteFile(dir / "facts", package);
  const fs::UniqueFd file(open((dir / "facts").c_str(), O_RDONLY | O_CLOEXEC));
  return ReadPackageFacts(file.get()).status();
}

// As the sealer makes it, for what CheckPackageRecipients refuses, too.
std::string SealUnchecked(const PackageRecipients& recipients) {
  std::string sealed;
  auto sealer = PackageSealer::Create(PackageCipher::kAes256Gcm, recipients, [&](auto bytes) {
    sealed += bytes;
    return absl::OkStatus();
  });
  REQUIRE_OK(sealer);
  REQUIRE_OK(sealer->Append("content"));
  REQUIRE_OK(sealer->Finish());
  return sealed;
}

TEST_CASE("Packages: rounds of password derivation that would take long are refused untried",
          "[unit][crypto]") {
  const TempDir dir;
  const std::string sealed = SealPackage(PackageCipher::kAes256Gcm, ForPassword(), "content");
  // Of 1,300,000.
  const std::string rounds("\x02\x03\x13\xd6\x20", 5);
  const std::size_t at = sealed.find(rounds);
  REQUIRE(at != std::string::npos);
  const auto with = [&](const std::string& other) {
    return std::string(sealed).replace(at, rounds.size(), other);
  };
  CHECK_OK(FactsOf(dir, sealed));
  CHECK_OK(FactsOf(dir, with("\x02\x03\x4c\x4b\x40")));                 // 5,000,000
  for (const std::string& many : {std::string("\x02\x03\x4c\x4b\x41"),  // one more
                                  std::string("\x02\x03\x7f\xff\xff"),  // 8,388,607
                                  std::string("\x02\x03\xff\xff\xff"),  // negative
                                  std::string("\x02\x03\0\0\0", 5)}) {
    CHECK_THAT(OpenBytes(dir, with(many), PasswordOf()).status(),
               StatusIs(StatusCode::kInvalidArgument, "would take too long"));
  }

  // The same recipient under the long form of its tag, which OpenSSL reads as well.
  const std::size_t recipient = sealed.find("\x31\x81");
  REQUIRE(recipient < 60);
  REQUIRE(sealed[recipient + 3] == '\xa3');
  std::string hidden = sealed;
  ++hidden[recipient + 2];
  hidden.replace(recipient + 3, 1, "\xbf\x03");
  CHECK_THAT(FactsOf(dir, hidden), StatusIs(StatusCode::kInvalidArgument, "PACKAGE_BROKEN"));
}

TEST_CASE("Packages: more recipients than Slipway takes, or of other kinds, are refused",
          "[unit][crypto]") {
  const TempDir dir;
  MakeRecipient(dir, "ec", kP256);
  CHECK_OK(FactsOf(dir, SealUnchecked(For(dir, std::vector<std::string>(16, "ec")))));
  CHECK_THAT(FactsOf(dir, SealUnchecked(For(dir, std::vector<std::string>(17, "ec")))),
             StatusIs(StatusCode::kInvalidArgument, "more recipients"));
  PackageRecipients both = For(dir, {"ec"});
  both.password = SecretBytes::CopyOf(kPassword);
  CHECK_THAT(FactsOf(dir, SealUnchecked(both)),
             StatusIs(StatusCode::kInvalidArgument, "more recipients"));
  WriteFile(dir / "doc", "hello");
  REQUIRE(Run(dir,
              "openssl cms -encrypt -stream -aes-256-cbc -in doc -outform DER -out kek -secretkey "
              "000102030405060708090A0B0C0D0E0F000102030405060708090A0B0C0D0E0F -secretkeyid 01") ==
          0);
  CHECK_THAT(FactsOf(dir, ReadFile(dir / "kek")),
             StatusIs(StatusCode::kInvalidArgument, "PACKAGE_BROKEN"));
}

TEST_CASE("Packages: files of other kinds are refused", "[unit][crypto]") {
  const TempDir dir;
  MakeRecipient(dir, "ec", kP256);
  WriteFile(dir / "doc", "hello");
  REQUIRE(Run(dir, "openssl cms -encrypt -aes-128-cbc -in doc -outform DER -out weak ec.pem") == 0);
  REQUIRE(Run(dir, "openssl cms -data_create -in doc -outform DER -out data") == 0);
  for (const std::string& junk :
       {std::string(), std::string("PK\x03\x04 not one"), ReadFile(dir / "weak"),
        ReadFile(dir / "data"), std::string(5000, '\x30'), std::string(5000, '\xff')}) {
    CHECK_THAT(OpenBytes(dir, junk, KeyOf(dir, "ec")).status(),
               StatusIs(StatusCode::kInvalidArgument, "PACKAGE_BROKEN"));
  }
}

TEST_CASE("Packages: recipients and passwords that cannot be used are refused", "[unit][crypto]") {
  const TempDir dir;
  MakeRecipient(dir, "good", kP256);
  MakeRecipient(dir, "weak", "rsa:1024");
  MakeRecipient(dir, "curve", "ec -pkeyopt ec_paramgen_curve:secp256k1");
  MakeRecipient(dir, "signs", "ed25519");
  const WallTime now = SystemClock().Wall();
  for (const std::string name : {"weak", "curve", "signs"}) {
    INFO(name);
    CHECK_THAT(CheckPackageRecipients(For(dir, {"good", name}), now),
               StatusIs(StatusCode::kInvalidArgument, "recipients[1]"));
  }
  PackageRecipients more = For(dir, {"good", "good"});
  more.certificates[1] += ReadFile(dir / "good.pem");
  CHECK_THAT(CheckPackageRecipients(more, now),
             StatusIs(StatusCode::kInvalidArgument, "recipients[1]: there is more than one"));
  for (const bool before : {true, false}) {
    const std::string key = ReadFile(dir / "good.key");
    const std::string certificate = ReadFile(dir / "good.pem");
    more.certificates[1] = before ? key + certificate : certificate + key;
    CHECK_THAT(CheckPackageRecipients(more, now),
               StatusIs(StatusCode::kInvalidArgument, "recipients[1]: there is a private key"));
  }
  const PackageRecipients good = For(dir, {"good"});
  CHECK_OK(CheckPackageRecipients(good, now));
  CHECK(FingerprintsOf(good).size() == 1);
  CHECK_THAT(CheckPackageRecipients(good, now + std::chrono::hours(24 * 400)),
             StatusIs(StatusCode::kInvalidArgument, "expired"));
  CHECK_THAT(CheckPackageRecipients(good, now - std::chrono::hours(24)),
             StatusIs(StatusCode::kInvalidArgument, "not valid yet"));
  PackageRecipients both = For(dir, {"good"});
  both.password = SecretBytes::CopyOf(kPassword);
  CHECK_THAT(CheckPackageRecipients(both, now),
             StatusIs(StatusCode::kInvalidArgument, "BAD_FIELD"));
  CHECK_THAT(CheckPackageRecipients({}, now), StatusIs(StatusCode::kInvalidArgument, "BAD_FIELD"));
  PackageRecipients many;
  many.certificates.assign(17, good.certificates[0]);
  CHECK_THAT(CheckPackageRecipients(many, now),
             StatusIs(StatusCode::kInvalidArgument, "more than 16"));
  for (const char* password : {"short", "a line\nand another"}) {
    CHECK_THAT(CheckPackageRecipients(ForPassword(password), now),
               StatusIs(StatusCode::kInvalidArgument, "BAD_PASSWORD"));
  }
}

TEST_CASE("Packages: the receiver's own error ends the work and is what is told",
          "[unit][crypto]") {
  const TempDir dir;
  MakeRecipient(dir, "ec", kP256);
  const auto refuse = [](std::string_view) { return absl::ResourceExhaustedError("disk full"); };
  auto sealer = PackageSealer::Create(PackageCipher::kAes256Gcm, For(dir, {"ec"}), refuse);
  REQUIRE_OK(sealer);
  absl::Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) status = sealer->Append(Content(10'000));
  CHECK_THAT(status, StatusIs(StatusCode::kResourceExhausted, "disk full"));

  WriteFile(dir / "whole",
            SealPackage(PackageCipher::kAes256Gcm, For(dir, {"ec"}), Content(50'000)));
  const fs::UniqueFd file(open((dir / "whole").c_str(), O_RDONLY | O_CLOEXEC));
  CHECK_THAT(OpenPackage(file.get(), KeyOf(dir, "ec"), refuse),
             StatusIs(StatusCode::kResourceExhausted, "disk full"));
}

}  // namespace
}  // namespace slipway::crypto
