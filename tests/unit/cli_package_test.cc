#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/crypto/hash.h"
#include "common/crypto/package_cms.h"
#include "common/status/status.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/cli_fixture.h"

namespace slipway::cli {
namespace {

using Catch::Contains;
using testing::ReadFile;
using testing::TempDir;
using testing::WriteFile;

constexpr char kPassword[] = "correct horse battery";
const std::string kContent = "PK\x03\x04" + std::string(300'000, 'x');

// A farm that makes packages of kContent.
struct World {
  World() {
    REQUIRE(Run("openssl req -x509 -nodes -subj /CN=them -newkey ec -pkeyopt "
                "ec_paramgen_curve:P-256 -keyout them.key -out them.pem") == 0);
    std::filesystem::permissions(dir / "them.key", std::filesystem::perms(0600));
    f.farm.package = [this](const v1::DownloadPackageRequest& asked, auto& writer) {
      request = asked;
      // So that no client goes on for ever.
      if (++streams > 5) return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "enough");
      return Send(writer);
    };
  }

  int Run(const std::string& command) {
    return std::system(("cd '" + dir.path() + "' && " + command + " >/dev/null 2>&1").c_str());
  }

  grpc::Status Send(grpc::ServerWriter<v1::DownloadPackageResponse>& writer) {
    v1::DownloadPackageResponse message;
    v1::PackageHeader& header = *message.mutable_header();
    header.set_file_name(file_name);
    std::string bytes = kContent;
    v1::DownloadPackageRequest made = request;
    if (understood) understood(made);
    if (made.has_encryption()) {
      crypto::PackageRecipients recipients;
      for (const std::string& pem : made.encryption().recipients()) {
        recipients.certificates.push_back(pem);
      }
      recipients.password = crypto::SecretBytes::CopyOf(made.encryption().password());
      const auto cipher = made.encryption().cipher() == v1::PACKAGE_CIPHER_SM4_CBC
                              ? crypto::PackageCipher::kSm4Cbc
                              : crypto::PackageCipher::kAes256Gcm;
      header.set_cipher(made.encryption().cipher());
      header.set_authenticated(crypto::IsAuthenticated(cipher));
      for (const auto& one : crypto::FingerprintsOf(recipients)) {
        header.add_recipients(one.Bytes());
      }
      bytes.clear();
      auto sealer = crypto::PackageSealer::Create(cipher, recipients, [&](std::string_view part) {
        bytes += part;
        return absl::OkStatus();
      });
      if (!sealer->Append(kContent).ok() || !sealer->Finish().ok()) std::abort();
    }
    if (said) said(header);
    writer.Write(message);
    const std::string digest = crypto::Sha256Of(bytes).Bytes();
    if (on_the_way) on_the_way(bytes);
    for (std::size_t at = 0; at < bytes.size(); at += 100'000) {
      message.set_data(bytes.substr(at, 100'000));
      writer.Write(message);
    }
    if (!broken.ok()) return broken;
    message.mutable_trailer()->set_sha256(digest);
    message.mutable_trailer()->set_size(bytes.size());
    if (with_trailer) writer.Write(message);
    return grpc::Status::OK;
  }

  // What lies in the folder beside the keys.
  std::size_t Files() {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(dir.path()), {}) - 2);
  }

  TempDir dir;
  Fixture f;
  v1::DownloadPackageRequest request;
  std::string file_name = "shop.zip";
  // What is made instead of what was asked for, and told of it.
  std::function<void(v1::DownloadPackageRequest&)> understood;
  std::function<void(v1::PackageHeader&)> said;
  std::function<void(std::string&)> on_the_way;
  grpc::Status broken;
  bool with_trailer = true;
  std::atomic<int> streams = 0;
};

TEST_CASE("slipway archive package: the file is whole, and its SHA-256 is printed", "[unit][cli]") {
  World world;
  const std::string out = world.dir / "p.zip";
  CliRun run(world.f.controller, {"archive", "package", kRelease, "-o", out});
  INFO(run.err.text());
  CHECK(run.Wait() == 0);
  CHECK(ReadFile(out) == kContent);
  CHECK(run.out.text() == crypto::Sha256Of(kContent).Hex() + "  " + out + "\n");
  CHECK(world.request.name() == kRelease);
  CHECK(world.request.form() == v1::PACKAGE_FORM_ZIP);
  CHECK_FALSE(world.request.has_encryption());
  CliRun again(world.f.controller, {"archive", "package", kRelease, "-o", out});
  CHECK(again.Wait() == 1);
  CHECK_THAT(again.err.text(), Contains("exists already"));
  CliRun forced(world.f.controller,
                {"archive", "package", kRelease, "-o", out, "--format", "tar.gz", "--force"});
  CHECK(forced.Wait() == 0);
  CHECK(world.request.form() == v1::PACKAGE_FORM_TAR_GZ);
  CHECK(world.Files() == 1);
}

TEST_CASE("slipway archive package: a file that exists is noticed before the bytes come",
          "[unit][cli]") {
  World world;
  WriteFile(world.dir / world.file_name, "mine");
  // Whoever took them would say something else.
  world.on_the_way = [](std::string& bytes) { bytes[200'000] ^= 1; };
  const std::filesystem::path here = std::filesystem::current_path();
  std::filesystem::current_path(world.dir.path());
  CliRun run(world.f.controller, {"archive", "package", kRelease});
  CHECK(run.Wait() == 1);
  std::filesystem::current_path(here);
  CHECK_THAT(run.err.text(), Contains("shop.zip exists already") && Contains("--force"));
  CHECK(world.streams == 1);
  CHECK(ReadFile(world.dir / world.file_name) == "mine");
  CHECK(world.Files() == 1);
}

TEST_CASE("slipway archive package and open: for a certificate and its key", "[unit][cli]") {
  World world;
  const std::string out = world.dir / "p.zip.cms";
  CliRun run(world.f.controller,
             {"archive", "package", kRelease, "-o", out, "--recipient", world.dir / "them.pem"});
  CHECK(run.Wait() == 0);
  CHECK(world.request.encryption().cipher() == v1::PACKAGE_CIPHER_AES_256_GCM);
  CHECK_THAT(run.err.text(), Contains("openssl cms -decrypt -inform DER") &&
                                 Contains("slipway archive open") && !Contains("warning"));
  REQUIRE(world.Run("openssl cms -decrypt -inform DER -in p.zip.cms -inkey them.key -out by") == 0);
  CHECK(ReadFile(world.dir / "by") == kContent);

  CliRun without({"archive", "open", out});
  CHECK(without.Wait() == 2);
  CHECK_THAT(without.err.text(), Contains("--key"));
  CliRun open({"archive", "open", out, "--key", world.dir / "them.key"});
  INFO(open.err.text());
  CHECK(open.Wait() == 0);
  CHECK(ReadFile(world.dir / "p.zip") == kContent);
  CHECK(std::filesystem::status(world.dir / "p.zip").permissions() == std::filesystem::perms(0600));
  CHECK(open.out.text() == world.dir / "p.zip\n");
}

TEST_CASE("slipway archive package: of a recipient's file nothing but the certificate travels",
          "[unit][cli]") {
  World world;
  const std::string certificate = ReadFile(world.dir / "them.pem");
  WriteFile(world.dir / "noted.pem", "Our partner: secret words\n" + certificate + "\n");
  WriteFile(world.dir / "both.pem", ReadFile(world.dir / "them.key") + certificate);
  WriteFile(world.dir / "two.pem", certificate + certificate);
  const auto package = [&](const char* file) {
    return std::vector<std::string>{
        "archive", "package",     kRelease,        "-o", world.dir / "p.zip.cms",
        "--force", "--recipient", world.dir / file};
  };
  CliRun noted(world.f.controller, package("noted.pem"));
  INFO(noted.err.text());
  CHECK(noted.Wait() == 0);
  REQUIRE(world.request.encryption().recipients_size() == 1);
  CHECK(world.request.encryption().recipients(0) == certificate);
  CHECK(world.streams == 1);
  CliRun both(world.f.controller, package("both.pem"));
  CHECK(both.Wait() == 2);
  CHECK_THAT(both.err.text(), Contains("both.pem") && Contains("private key"));
  CliRun two(world.f.controller, package("two.pem"));
  CHECK(two.Wait() == 2);
  CHECK_THAT(two.err.text(), Contains("more than one"));
  CHECK(world.streams == 1);
}

TEST_CASE("slipway archive open: a changed package leaves nothing", "[unit][cli]") {
  World world;
  const std::string out = world.dir / "p.zip.cms";
  CliRun run(world.f.controller,
             {"archive", "package", kRelease, "-o", out, "--recipient", world.dir / "them.pem"});
  REQUIRE(run.Wait() == 0);
  const std::string whole = ReadFile(out);
  const std::string key = world.dir / "them.key";
  for (const std::size_t at : {whole.size() / 2, whole.size() - 8, whole.size() - 30}) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    WriteFile(out, changed);
    CliRun open({"archive", "open", out, "--key", key});
    CHECK(open.Wait() == 1);
    CHECK(world.Files() == 1);
  }
  WriteFile(out, whole.substr(0, whole.size() - 1));
  CliRun cut({"archive", "open", out, "--key", key});
  CHECK(cut.Wait() == 1);
  CHECK_THAT(cut.err.text(), Contains("cut off"));
  WriteFile(out, whole);
  CliRun other({"archive", "open", out, "--key", key, "--sha256", std::string(64, '0')});
  CHECK(other.Wait() == 1);
  CHECK_THAT(other.err.text(), Contains("another SHA-256"));
  CHECK(world.Files() == 1);
}

TEST_CASE("slipway archive package: the password comes from a file, a pipe or the terminal",
          "[unit][cli]") {
  World world;
  WriteFile(world.dir / "password", std::string(kPassword) + "\n");
  std::filesystem::permissions(world.dir / "password", std::filesystem::perms(0600));
  const std::string out = world.dir / "p.zip.cms";
  const std::vector<std::string> package{"archive", "package",   kRelease,  "-o",
                                         out,       "--encrypt", "sm4-cbc", "--force"};
  auto with = package;
  with.insert(with.end(), {"--password-file", world.dir / "password"});
  CliRun file(world.f.controller, with);
  CHECK(file.Wait() == 0);
  CHECK(world.request.encryption().password() == kPassword);
  CHECK(world.request.encryption().cipher() == v1::PACKAGE_CIPHER_SM4_CBC);
  with.back() = "-";
  CliRun pipe(world.f.controller, with, {.in = std::string(kPassword) + "\n"});
  CHECK(pipe.Wait() == 0);
  CHECK(world.request.encryption().password() == kPassword);

  world.request.Clear();
  CliRun differ(world.f.controller, package,
                {.terminal = true, .answers = {kPassword, "something else"}});
  CHECK(differ.Wait() == 2);
  CHECK_FALSE(world.request.has_encryption());
  CliRun asked(world.f.controller, package, {.terminal = true, .answers = {kPassword, kPassword}});
  CHECK(asked.Wait() == 0);
  CHECK(asked.questions().size() == 2);
  CHECK_THAT(asked.questions()[0], Catch::StartsWith("secret: "));
  CHECK(world.request.encryption().password() == kPassword);
  CliRun nobody(world.f.controller, package);
  CHECK(nobody.Wait() == 2);
  CHECK_THAT(nobody.err.text(), Contains("--password-file"));
  CliRun both(world.f.controller, {"archive", "package", kRelease, "--recipient", "x",
                                   "--password-file", world.dir / "password"});
  CHECK(both.Wait() == 2);
}

TEST_CASE("slipway archive open: without authentication the SHA-256 has to be given",
          "[unit][cli]") {
  World world;
  WriteFile(world.dir / "password", kPassword);
  const std::string out = world.dir / "p.zip.cms";
  CliRun run(world.f.controller, {"archive", "package", kRelease, "-o", out, "--encrypt", "sm4-cbc",
                                  "--password-file", world.dir / "password"});
  REQUIRE(run.Wait() == 0);
  CHECK_THAT(run.err.text(), Contains("does not show changes") && Contains("--sha256"));
  const std::string hash = run.out.text().substr(0, 64);
  const std::vector<std::string> open{"archive", "open", out, "--password-file",
                                      world.dir / "password"};
  CliRun bare(open);
  CHECK(bare.Wait() == 2);
  CHECK_THAT(bare.err.text(), Contains("--sha256"));
  auto with = open;
  with.insert(with.end(), {"--sha256", hash});
  CliRun proved(with);
  CHECK(proved.Wait() == 0);
  CHECK(ReadFile(world.dir / "p.zip") == kContent);
  std::filesystem::remove(world.dir / "p.zip");
  std::string changed = ReadFile(out);
  changed[changed.size() / 2] ^= 1;
  WriteFile(out, changed);
  CliRun refused(with);
  CHECK(refused.Wait() == 1);
  CHECK_FALSE(std::filesystem::exists(world.dir / "p.zip"));
}

TEST_CASE(
    "slipway archive package: an answer that is not encrypted as was asked for leaves nothing",
    "[unit][cli]") {
  World world;
  REQUIRE(world.Run("openssl req -x509 -nodes -subj /CN=other -newkey ec -pkeyopt "
                    "ec_paramgen_curve:P-256 -keyout other.key -out other.pem") == 0);
  WriteFile(world.dir / "password", kPassword);
  const std::string other = ReadFile(world.dir / "other.pem");
  v1::PackageHeader right;
  world.said = [&](v1::PackageHeader& header) { right = header; };
  const std::vector<std::string> plain{"archive", "package", kRelease, "-o", world.dir / "p"};
  auto sealed = plain;
  sealed.insert(sealed.end(), {"--recipient", world.dir / "them.pem"});
  CliRun good(world.f.controller, sealed);
  REQUIRE(good.Wait() == 0);
  std::filesystem::remove(world.dir / "p");
  const std::size_t before = world.Files();

  const auto nothing = [](v1::DownloadPackageRequest& r) { r.clear_encryption(); };
  const auto say_right = [&](v1::PackageHeader& header) { header = right; };
  const struct {
    const char* what;
    std::vector<std::string> asked;
    std::function<void(v1::DownloadPackageRequest&)> understood;
    std::function<void(v1::PackageHeader&)> said;
  } cases[] = {
      {"not at all", sealed, nothing, {}},
      {"not at all, and it says otherwise", sealed, nothing, say_right},
      {"for a password, and it says otherwise", sealed,
       [](auto& r) {
         r.mutable_encryption()->clear_recipients();
         r.mutable_encryption()->set_password(kPassword);
       },
       say_right},
      {"with another algorithm",
       sealed,
       [](auto& r) { r.mutable_encryption()->set_cipher(v1::PACKAGE_CIPHER_SM4_CBC); },
       {}},
      {"with another algorithm, and it says otherwise", sealed,
       [](auto& r) { r.mutable_encryption()->set_cipher(v1::PACKAGE_CIPHER_SM4_CBC); }, say_right},
      {"for somebody else",
       sealed,
       [&](auto& r) { r.mutable_encryption()->set_recipients(0, other); },
       {}},
      {"for somebody else as well",
       sealed,
       [&](auto& r) { r.mutable_encryption()->add_recipients(other); },
       {}},
      {"as if it showed changes",
       sealed,
       {},
       [](auto& header) { header.set_authenticated(!header.authenticated()); }},
      {"though nobody asked",
       plain,
       [&](auto& r) {
         r.mutable_encryption()->set_cipher(v1::PACKAGE_CIPHER_AES_256_GCM);
         r.mutable_encryption()->add_recipients(other);
       },
       {}},
  };
  for (const auto& one : cases) {
    INFO(one.what);
    world.streams = 0;
    world.understood = one.understood;
    world.said = one.said;
    CliRun run(world.f.controller, one.asked);
    CHECK(run.Wait() == 1);
    CHECK_THAT(run.err.text(), Contains("not encrypted as was asked for"));
    CHECK(world.streams == 1);
    CHECK(world.Files() == before);
    std::filesystem::remove(world.dir / "p");
  }
}

TEST_CASE(
    "slipway archive open: what does not begin as a package leaves nothing, though it decrypts",
    "[unit][cli]") {
  World world;
  crypto::PackageRecipients recipients;
  recipients.certificates.push_back(ReadFile(world.dir / "them.pem"));
  const std::size_t before = world.Files();
  const auto open = [&](const std::string& content) {
    std::string sealed;
    auto sealer = crypto::PackageSealer::Create(crypto::PackageCipher::kAes256Cbc, recipients,
                                                [&](std::string_view part) {
                                                  sealed += part;
                                                  return absl::OkStatus();
                                                });
    REQUIRE_OK(sealer);
    REQUIRE_OK(sealer->Append(content));
    REQUIRE_OK(sealer->Finish());
    WriteFile(world.dir / "p.cms", sealed);
    CliRun run({"archive", "open", world.dir / "p.cms", "--key", world.dir / "them.key", "--sha256",
                crypto::Sha256Of(sealed).Hex()});
    const int code = run.Wait();
    if (code != 0) CHECK_THAT(run.err.text(), Contains("no zip or tar.gz file"));
    std::filesystem::remove(world.dir / "p.cms");
    return code;
  };
  const std::string noise(100'000, '\xa7');
  for (const std::string& other :
       {noise, "P" + noise, "PK" + noise, std::string("PK"), std::string("\x1f")}) {
    CHECK(open(other) == 1);
    CHECK(world.Files() == before);
  }
  for (const std::string& start :
       {std::string("PK\x03\x04"), std::string("PK\x05\x06"), std::string("\x1f\x8b\x08")}) {
    CHECK(open(start + noise) == 0);
    CHECK(ReadFile(world.dir / "p") == start + noise);
    std::filesystem::remove(world.dir / "p");
  }
}

TEST_CASE("slipway archive package: what is not whole, or leads elsewhere, leaves nothing",
          "[unit][cli]") {
  World world;
  const std::vector<std::string> package{"archive", "package", kRelease, "-o", world.dir / "p.zip"};
  SECTION("changed on the way") {
    world.on_the_way = [](std::string& bytes) { bytes[200'000] ^= 1; };
    CliRun run(world.f.controller, package);
    CHECK(run.Wait() == 1);
    CHECK_THAT(run.err.text(), Contains("not the package"));
  }
  SECTION("cut on the way") {
    world.on_the_way = [](std::string& bytes) { bytes.resize(150'000); };
    CliRun run(world.f.controller, package);
    CHECK(run.Wait() == 1);
  }
  SECTION("no trailer") {
    world.with_trailer = false;
    CliRun run(world.f.controller, package);
    CHECK(run.Wait() == 1);
  }
  SECTION("an error in the middle") {
    world.broken = grpc::Status(grpc::StatusCode::DATA_LOSS, "a blob is damaged");
    CliRun run(world.f.controller, package);
    CHECK(run.Wait() == 3);
  }
  SECTION("the same passing error each time") {
    world.broken = grpc::Status(grpc::StatusCode::INTERNAL, "cannot encrypt the package");
    CliRun run(world.f.controller, package);
    CHECK(run.Wait() == 3);
    CHECK(world.streams == 3);
    CHECK_THAT(run.err.text(), Contains("cannot encrypt"));
  }
  SECTION("no room on the disk here, which is not fetched again for") {
    const testing::FileSizeLimit limit(100'000);
    CliRun run(world.f.controller, package);
    CHECK(run.Wait() == 1);
    CHECK(world.streams == 1);
    CHECK_THAT(run.err.text(), Contains("File too large"));
  }
  SECTION("a name elsewhere") {
    for (const char* name : {"../p.zip", "/tmp/p.zip", ".bashrc", "", "-rf"}) {
      world.file_name = name;
      CliRun run(world.f.controller, {"archive", "package", kRelease});
      CHECK(run.Wait() == 1);
    }
  }
  CHECK(world.Files() == 0);
}

}  // namespace
}  // namespace slipway::cli
