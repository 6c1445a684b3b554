#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "common/crypto/credential.h"
#include "common/process/process.h"
#include "controller/cli/platform_key.h"
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

TEST_CASE("slipway archive get: directory, tar and zip hold the exact bytes", "[unit][cli]") {
  Fixture f;
  f.AddProduct();
  const TempDir dir;
  CliRun get(f.controller, {"archive", "get", kRelease, "--dir", (dir / "out") + "/"});
  INFO(get.err.text());
  CHECK(get.Wait() == 0);
  CHECK_THAT(get.out.text(), Contains(Fixture::MakeManifest().Digest().ToString()));
  CHECK(ReadFile(dir / "out/app.js") == Fixture::kApp);
  struct stat facts {};
  REQUIRE(stat((dir / "out/bin/tool").c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0111) == 0111);

  for (const std::string form : {"tar", "zip"}) {
    const std::string file = dir / ("out." + form);
    CliRun pack(f.controller, {"archive", "get", kRelease, "--" + form, file});
    CHECK(pack.Wait() == 0);
    const std::string packed = ReadFile(file);
    process::Command unpack;
    unpack.argv = {"python3", "-m", form + "file", "-e", file, dir / "unpacked"};
    unpack.env = {{"PATH", "/usr/bin:/bin"}};
    const auto unpacked = process::Run(unpack);
    REQUIRE_OK(unpacked);
    CHECK(unpacked->Succeeded());
    CHECK(ReadFile(dir / "unpacked/app.js") == Fixture::kApp);
    CHECK(ReadFile(dir / "unpacked/bin/tool") == Fixture::kTool);
    std::filesystem::remove_all(dir / "unpacked");
    CliRun again(f.controller, {"archive", "get", kRelease, "--" + form, file});
    CHECK(again.Wait() == 1);
    CHECK_THAT(again.err.text(), Contains("exists already") && Contains("--force"));
    CliRun forced(f.controller, {"archive", "get", kRelease, "--" + form, file, "--force"});
    CHECK(forced.Wait() == 0);
    CHECK(ReadFile(file) == packed);
  }
  CliRun over(f.controller, {"archive", "get", kRelease, "--dir", dir / "out"});
  CHECK(over.Wait() == 1);
  // Nothing but what was asked for.
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 3);
}

TEST_CASE("slipway archive get: a damaged byte is an error and leaves nothing", "[unit][cli]") {
  Fixture f;
  f.AddProduct();
  f.farm.Update([](FakeFarm& farm) {
    std::string damaged = Fixture::kApp;
    damaged[0] ^= 1;
    farm.products[kRelease].pieces[0].set_zstd(testing::Compress(damaged));
  });
  const TempDir dir;
  for (const std::string form : {"dir", "tar", "zip"}) {
    CliRun get(f.controller, {"archive", "get", kRelease, "--" + form, dir / "out"});
    CHECK(get.Wait() == 1);
    INFO(get.err.text());
    CHECK_FALSE(get.err.text().empty());
    CHECK(std::filesystem::is_empty(dir.path()));
  }
  // The same for the manifest.
  f.AddProduct();
  f.farm.Update([](FakeFarm& farm) { farm.products[kRelease].manifest.back() = ' '; });
  CliRun get(f.controller, {"archive", "get", kRelease, "--dir", dir / "out"});
  CHECK(get.Wait() == 1);
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("slipway archive get: no room on the disk ends it at once, and leaves nothing",
          "[unit][cli]") {
  Fixture f;
  f.AddProduct();
  const TempDir dir;
  {
    const testing::FileSizeLimit limit(Fixture::kApp.size() - 1);
    CliRun get(f.controller, {"archive", "get", kRelease, "--dir", dir / "out"});
    CHECK(get.Wait() == 1);
    CHECK_THAT(get.err.text(), Contains("File too large"));
  }
  f.farm.Update([](FakeFarm& farm) { CHECK(farm.downloads == 1); });
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("slipway qr: the PNG decodes to the release's text; nothing for what was not published",
          "[unit][cli]") {
  Fixture f;
  f.AddProduct();
  const TempDir dir;
  CliRun png(f.controller, {"qr", kRelease, "--png", dir / "q.png", "--svg", dir / "q.svg"});
  CHECK(png.Wait() == 0);
  process::Command zbarimg;
  zbarimg.argv = {"zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", dir / "q.png"};
  zbarimg.env = {{"PATH", "/usr/bin:/bin"}};
  const auto seen = process::Run(zbarimg);
  REQUIRE_OK(seen);
  CHECK(seen->out == std::string(kQrText) + "\n");
  CHECK_THAT(ReadFile(dir / "q.svg"), Contains("<svg"));

  CliRun text(f.controller, {"qr", kRelease, "--text"});
  CHECK(text.Wait() == 0);
  CHECK(text.out.text() == std::string(kQrText) + "\n");
  CliRun ascii(f.controller, {"qr", kRelease, "--ascii"});
  CHECK(ascii.Wait() == 0);
  CHECK_THAT(ascii.out.text(), Contains("##############"));

  f.farm.Update([](FakeFarm& farm) { farm.products[kRelease].archived.clear_release(); });
  CliRun none(f.controller, {"qr", kRelease, "--png", dir / "none.png"});
  CHECK(none.Wait() == 1);
  CHECK_FALSE(std::filesystem::exists(dir / "none.png"));
}

TEST_CASE("slipway qr: the platform's own code is drawn, or its image written as it came",
          "[unit][cli]") {
  Fixture f;
  f.AddProduct();
  const TempDir dir;
  f.farm.Update([](FakeFarm& farm) {
    v1::Task& preview = farm.tasks["task-7"];
    preview.set_id("task-7");
    preview.set_kind(v1::TASK_KIND_PREVIEW);
    preview.mutable_result()->mutable_publish()->mutable_code()->set_image_type("image/jpeg");
    farm.codes["task-7"].set_media_type("image/jpeg");
    farm.codes["task-7"].set_image("\xff\xd8\xff");
    farm.products[kRelease].archived.mutable_release()->set_publish_task("task-6");
    v1::Task& publish = farm.tasks["task-6"];
    publish.set_id("task-6");
    publish.set_kind(v1::TASK_KIND_PUBLISH);
    publish.mutable_result()->mutable_publish()->mutable_code()->set_text("https://p.example/7");
  });
  CliRun image(f.controller, {"qr", "task-7", "--image", dir / "code"});
  CHECK(image.Wait() == 0);
  CHECK_THAT(image.err.text(), Contains("image/jpeg"));
  CHECK(ReadFile(dir / "code") == "\xff\xd8\xff");
  CliRun drawn(f.controller, {"qr", "task-7"});
  CHECK(drawn.Wait() == 1);
  CHECK_THAT(drawn.err.text(), Contains("slipway qr task-7 --image FILE"));

  CliRun own(f.controller, {"qr", kRelease, "--platform-code", "--text"});
  CHECK(own.Wait() == 0);
  CHECK(own.out.text() == "https://p.example/7\n");
  CliRun none(f.controller, {"qr", kRelease, "--image", dir / "none"});
  CHECK(none.Wait() != 0);
  CHECK_FALSE(std::filesystem::exists(dir / "none"));
}

TEST_CASE("slipway qr: a code whose time is over is shown with a warning", "[unit][cli]") {
  Fixture f;
  const auto show = [&](std::int64_t end) {
    f.farm.Update([&](FakeFarm& farm) {
      v1::Task& preview = farm.tasks["task-7"];
      preview.set_id("task-7");
      preview.set_kind(v1::TASK_KIND_PREVIEW);
      v1::PlatformCode& code = *preview.mutable_result()->mutable_publish()->mutable_code();
      code.set_text("https://p.example/7");
      code.clear_expires_at();
      if (end > 0) code.mutable_expires_at()->set_seconds(end);
    });
    CliRun run(f.controller, {"qr", "task-7", "--text"});
    CHECK(run.Wait() == 0);
    CHECK(run.out.text() == "https://p.example/7\n");
    return run.err.text();
  };
  CHECK_THAT(show(1'700'000'000), Contains("warning: this code worked until"));
  CHECK(show(4'000'000'000).empty());
  CHECK(show(0).empty());
}

void MakeKey(const std::string& file, const std::string& algorithm, const std::string& option,
             const std::vector<std::string>& more = {}) {
  process::Command openssl;
  openssl.argv = {"openssl", "genpkey", "-algorithm", algorithm, "-pkeyopt", option, "-out", file};
  openssl.argv.insert(openssl.argv.end(), more.begin(), more.end());
  const auto made = process::Run(openssl);
  REQUIRE_OK(made);
  REQUIRE(made->exit_code == 0);
  REQUIRE(chmod(file.c_str(), 0644) == 0);
}

TEST_CASE("slipway credentials seal: what can't be weixin's key is refused with what it is",
          "[unit][cli]") {
  Fixture f;
  const auto sealing = crypto::CreateEncryptionCertificate(FarmId("farm-1"), SystemClock().Wall());
  REQUIRE_OK(sealing);
  f.farm.farm.set_sealing_certificate(sealing->certificate_pem);
  const TempDir dir;
  MakeKey(dir / "ec", "EC", "ec_paramgen_curve:P-256");
  MakeKey(dir / "locked", "RSA", "rsa_keygen_bits:2048", {"-aes128", "-pass", "pass:x"});
  WriteFile(dir / "public", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
  WriteFile(dir / "cut", "-----BEGIN RSA PRIVATE KEY-----\nabc\n");
  WriteFile(dir / "other", "appid=wx123\n");
  struct Case {
    const char* file;
    const char* english;
    const char* chinese;
  };
  for (const Case& c :
       std::vector<Case>{{"ec", "not an RSA key", "不是 RSA 密钥"},
                         {"locked", "password", "密码"},
                         {"public", "a public key or certificate", "公钥或证书"},
                         {"cut", "no private key in PEM form", "不是 PEM 格式"},
                         {"other", "no private key in PEM form", "不是 PEM 格式"}}) {
    INFO(c.file);
    const auto arguments = [&](const char* platform, const char* language) {
      return std::vector<std::string>{
          "credentials", "seal",  "--app",      "pocket-shop", "--platform", platform, "--app-id",
          "wx123",       "--key", dir / c.file, "--out",       dir / "out",  "--lang", language};
    };
    CliRun english(f.controller, arguments("weixin", "en"));
    CHECK(english.Wait() == 1);
    CHECK_THAT(english.err.text(), Contains(c.file) && Contains(c.english) && Contains("→ Give"));
    CliRun chinese(f.controller, arguments("weixin", "zh"));
    CHECK(chinese.Wait() == 1);
    CHECK_THAT(chinese.err.text(), Contains(c.chinese) && Contains("→ 请使用"));
    CHECK_FALSE(std::filesystem::exists(dir / "out"));
    // Of other platforms' keys nothing is known.
    CliRun elsewhere(f.controller, arguments("baidu", "en"));
    CHECK(elsewhere.Wait() == 0);
    std::filesystem::remove(dir / "out");
  }
}

TEST_CASE("slipway credentials seal: each platform's credential has its own form", "[unit][cli]") {
  const Text english(Language::kEnglish);
  const TempDir dir;
  MakeKey(dir / "rsa", "RSA", "rsa_keygen_bits:2048");
  MakeKey(dir / "ec", "EC", "ec_paramgen_curve:P-256");
  const auto identity = [&](std::string key) {
    for (std::size_t at = 0; (at = key.find('\n', at)) != std::string::npos; at += 2) {
      key.replace(at, 1, "\\n");
    }
    return R"({"alipay": {"authentication": {"toolId": "t", "privateKey": ")" + key + "\"}}}";
  };
  struct Case {
    const char* platform;
    std::string key;
    const char* why;  // nullptr: it can be used
  };
  for (const Case& c : std::vector<Case>{
           {"alipay", identity(ReadFile(dir / "rsa")), nullptr},
           {"alipay", identity("MIIEvQ"), nullptr},
           {"alipay", identity("-----BEGIN RSA PRIVATE KEY-----\nabc\n"), "PKCS#8"},
           {"alipay", identity(ReadFile(dir / "ec")), "not an RSA"},
           {"alipay", R"({"alipay": {"authentication": {"toolId": 1}}})", "lacks privateKey"},
           {"alipay", R"({"alipay": "x"})", "lacks privateKey"},
           {"alipay", ReadFile(dir / "rsa"), "not JSON"},
           {"douyin", "0a1b2c\n", nullptr},
           {"douyin", "two words", "one line"},
           {"douyin", "two\nlines\n", "one line"},
           {"douyin", "\n", "one line"},
           {"baidu", "whatever it is", nullptr}}) {
    INFO(c.platform << ": " << c.key);
    const auto bad = CheckPlatformKey(c.platform, c.key, english);
    CHECK(bad.has_value() == (c.why != nullptr));
    if (bad && c.why != nullptr) {
      CHECK_THAT(bad->why, Contains(c.why));
      CHECK_FALSE(bad->remedy.empty());
    }
  }
}

TEST_CASE(
    "slipway credentials seal: opens for its application alone, never overwrites, and says "
    "what it is bound to",
    "[unit][cli]") {
  Fixture f;
  const auto sealing = crypto::CreateEncryptionCertificate(FarmId("farm-1"), SystemClock().Wall());
  REQUIRE_OK(sealing);
  f.farm.farm.set_sealing_certificate(sealing->certificate_pem);
  const TempDir dir;
  MakeKey(dir / "key", "RSA", "rsa_keygen_bits:2048");
  const std::string key = ReadFile(dir / "key");
  const std::string secret_line = key.substr(key.find('\n') + 1, 60);
  const std::vector<std::string> arguments = {
      "credentials", "seal",  "--app", "pocket-shop", "--platform", "weixin",
      "--app-id",    "wx123", "--key", dir / "key",   "--out",      dir / "weixin.credential"};
  CliRun seal(f.controller, arguments);
  CHECK(seal.Wait() == 0);
  CHECK_THAT(seal.err.text(), Contains("chmod 600") && Contains("farm-1") &&
                                  Contains(f.farm.application.id()) && Contains("wx123"));
  CHECK_FALSE((seal.err.Has(secret_line) || seal.out.Has(secret_line)));

  const std::string sealed = ReadFile(dir / "weixin.credential");
  const crypto::CredentialBinding binding{FarmId("farm-1"), ApplicationId(f.farm.application.id()),
                                          "weixin"};
  const auto opened =
      crypto::OpenCredential(sealed, sealing->certificate_pem, sealing->key_pem.view(), binding);
  REQUIRE_OK(opened);
  CHECK(opened->app_id == "wx123");
  CHECK(opened->secret.view() == key);
  auto foreign = binding;
  foreign.platform = "alipay";
  CHECK_FALSE(
      crypto::OpenCredential(sealed, sealing->certificate_pem, sealing->key_pem.view(), foreign)
          .ok());

  REQUIRE(chmod((dir / "key").c_str(), 0600) == 0);
  CliRun again(f.controller, arguments);
  CHECK(again.Wait() == 1);
  CHECK_THAT(again.err.text(), Contains("exists already") && !Contains("chmod 600"));
  CHECK(ReadFile(dir / "weixin.credential") == sealed);
  auto forced = arguments;
  forced.push_back("--force");
  CliRun replace(f.controller, forced);
  CHECK(replace.Wait() == 0);
  CHECK(ReadFile(dir / "weixin.credential") != sealed);
}

}  // namespace
}  // namespace slipway::cli
