#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <mutex>
#include <ostream>
#include <stop_token>
#include <streambuf>
#include <string>
#include <thread>
#include <vector>

#include "common/crypto/credential.h"
#include "common/process/process.h"
#include "controller/cli/program.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tree.h"
#include "tests/support/wait_until.h"
#include "tests/unit/cli_fake_controller.h"

namespace slipway::cli {
namespace {

using Catch::Contains;
using testing::FakeController;
using testing::FakeFarm;
using testing::ReadFile;
using testing::TempDir;
using testing::WaitUntil;
using testing::WriteFile;

// What a program prints, readable while it still prints.
class SharedText final : public std::streambuf {
 public:
  std::string text() const {
    const std::lock_guard lock(mu_);
    return text_;
  }
  bool Has(const std::string& part) const { return text().find(part) != std::string::npos; }

 protected:
  int overflow(int c) override {
    const std::lock_guard lock(mu_);
    text_ += static_cast<char>(c);
    return c;
  }
  std::streamsize xsputn(const char* bytes, std::streamsize n) override {
    const std::lock_guard lock(mu_);
    text_.append(bytes, static_cast<std::size_t>(n));
    return n;
  }

 private:
  mutable std::mutex mu_;
  std::string text_;
};

// One run of the program against the fake controller.
class CliRun {
 public:
  CliRun(const FakeController& controller, std::vector<std::string> arguments)
      : arguments_(std::move(arguments)) {
    for (const std::string& flag :
         {"--server=" + controller.address(), "--ca=" + controller.ca_file(),
          "--token-file=" + controller.token_file()}) {
      arguments_.push_back(flag);
    }
    Start();
  }
  explicit CliRun(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {
    Start();
  }
  ~CliRun() {
    if (thread_.joinable()) {
      Interrupt();
      thread_.join();
    }
  }
  CliRun(const CliRun&) = delete;
  CliRun& operator=(const CliRun&) = delete;

  int Wait() {
    if (thread_.joinable()) thread_.join();
    return code_;
  }
  void Interrupt() { stop_.request_stop(); }

  SharedText out;
  SharedText err;

 private:
  void Start() {
    thread_ = std::thread([this] {
      std::ostream out_stream(&out);
      std::ostream err_stream(&err);
      Surroundings surroundings{.out = out_stream,
                                .err = err_stream,
                                .environment = [](const char*) { return std::string(); },
                                .stop = stop_.get_token()};
      code_ = RunProgram(arguments_, surroundings);
    });
  }

  std::vector<std::string> arguments_;
  std::stop_source stop_;
  int code_ = -1;
  std::thread thread_;
};

constexpr char kBuild[] = "task-1-build";
constexpr char kPublish[] = "task-2-publish";
constexpr char kRelease[] = "rel-1";
constexpr char kQrText[] = "slipway:release/rel-1?app=pocket-shop&platform=weixin&version=1.4.2";

// A farm with one application and a run of a build and a publish that wait.
class Fixture {
 public:
  Fixture() : controller(farm) {
    farm.application.set_id("0b6a4c1e-7d5f-4f0e-9c55-1f2f3d1f7a10");
    farm.application.set_name("pocket-shop");
    farm.farm.set_id("farm-1");
    farm.farm.set_controller_version("9.9.9");
    for (const char* id : {kBuild, kPublish}) {
      v1::Task& task = farm.tasks[id];
      task.set_id(id);
      task.set_run("run-1");
      task.set_application("pocket-shop");
      task.set_platform("weixin");
    }
    farm.tasks[kBuild].set_kind(v1::TASK_KIND_BUILD);
    farm.tasks[kBuild].set_state(v1::TASK_STATE_QUEUED);
    farm.tasks[kPublish].set_kind(v1::TASK_KIND_PUBLISH);
    farm.tasks[kPublish].set_target("production");
    farm.tasks[kPublish].set_depends_on(kBuild);
    farm.tasks[kPublish].set_state(v1::TASK_STATE_WAITING);
  }

  void Begin(const std::string& id) {
    farm.Update([&](FakeFarm& f) {
      f.tasks[id].set_state(v1::TASK_STATE_RUNNING);
      f.tasks[id].set_attempt(1);
      f.tasks[id].set_agent("agent-1");
    });
  }
  void Append(const std::string& id, const std::string& bytes) {
    farm.Update([&](FakeFarm& f) { f.logs[{id, 1}].data += bytes; });
  }
  void End(const std::string& id, v1::TaskState state) {
    farm.Update([&](FakeFarm& f) {
      f.logs[{id, 1}].sealed = true;
      f.tasks[id].set_state(state);
      if (id == kPublish && state == v1::TASK_STATE_SUCCEEDED) f.tasks[id].set_release(kRelease);
    });
  }
  // The product of the build under the names of its release and build task.
  void AddProduct(const manifest::Manifest& manifest, const std::vector<std::string>& contents) {
    FakeFarm::Product product;
    product.manifest = manifest.Encode();
    for (const std::string& content : contents) {
      v1::BlobPiece& piece = product.pieces.emplace_back();
      const auto blob = testing::BlobOf(content);
      piece.set_digest(blob.digest.Bytes());
      piece.set_size(blob.size);
      piece.set_zstd(testing::Compress(content));
      piece.set_last(true);
    }
    v1::Archived& archived = product.archived;
    archived.set_application("pocket-shop");
    archived.set_platform("weixin");
    archived.set_manifest(manifest.Digest().Bytes());
    archived.set_files(static_cast<std::uint32_t>(manifest.file_count()));
    archived.set_bytes(manifest.total_bytes());
    archived.mutable_built_at()->set_seconds(1'700'000'000);
    v1::Release& release = *archived.mutable_release();
    release.set_id(kRelease);
    release.set_platform("weixin");
    release.set_target("production");
    release.set_version("1.4.2");
    release.set_link("https://example.invalid/shop");
    release.set_manifest(manifest.Digest().Bytes());
    release.set_qr_text(kQrText);
    farm.Update([&](FakeFarm& f) { f.products[kRelease] = product; });
  }
  void AddProduct() {
    const auto manifest = MakeManifest();
    AddProduct(manifest, {kApp, kTool});
  }
  static manifest::Manifest MakeManifest() {
    auto manifest = manifest::Manifest::Create(
        {{.path = "app.js", .size = kApp.size(), .digest = testing::BlobOf(kApp).digest},
         {.path = "bin/tool",
          .executable = true,
          .size = kTool.size(),
          .digest = testing::BlobOf(kTool).digest}});
    REQUIRE_OK(manifest);
    return *std::move(manifest);
  }

  inline static const std::string kApp = "App({})\n";
  inline static const std::string kTool = "#!/bin/sh\n";

  FakeFarm farm;
  FakeController controller;
};

std::vector<std::string> SubmitAndFollow() {
  return {"submit", "--app", "pocket-shop", "--platform", "weixin", "--publish", "--follow"};
}

TEST_CASE("slipway submit --follow: steps, log, release and code; exit 0", "[unit][cli]") {
  Fixture f;
  f.AddProduct();
  CliRun cli(f.controller, SubmitAndFollow());
  REQUIRE(WaitUntil([&] { return cli.out.Has("waits for an agent"); }));
  f.Begin(kBuild);
  f.Append(kBuild, "compiling…\n");
  REQUIRE(WaitUntil([&] { return cli.out.Has("compiling…\n"); }));
  f.End(kBuild, v1::TASK_STATE_SUCCEEDED);
  f.Begin(kPublish);
  f.Append(kPublish, "uploading\n");
  f.End(kPublish, v1::TASK_STATE_SUCCEEDED);
  CHECK(cli.Wait() == 0);
  INFO(cli.err.text());
  CHECK_THAT(cli.out.text(),
             Contains("run-1") && Contains(kBuild) && Contains("uploading\n") &&
                 Contains("✓ weixin publish → production") && Contains("version") &&
                 Contains("1.4.2") && Contains(Fixture::MakeManifest().Digest().ToString()) &&
                 Contains("2 files, 18 B") && Contains("weixin, target production") &&
                 Contains("https://example.invalid/shop") && Contains(kQrText) &&
                 Contains("slipway qr rel-1"));
  // Half blocks of the code.
  CHECK(cli.out.Has("\xe2\x96"));
  REQUIRE(f.farm.submits.size() == 1);
  CHECK(f.farm.submits[0].publish());
  CHECK(f.farm.submits[0].request_id().size() == 36);
}

TEST_CASE("slipway submit --follow: a failure says why and what to do; exit 1", "[unit][cli]") {
  Fixture f;
  f.Begin(kBuild);
  f.farm.Update([](FakeFarm& farm) {
    v1::Failure& failure = *farm.tasks[kBuild].mutable_result()->mutable_failure();
    failure.set_failure_class(v1::FAILURE_CLASS_BUILD);
    failure.set_message("the script ended with exit code 7");
    failure.set_tool_words("npm ERR! missing script");
    failure.set_remedy("Mend scripts/build.sh.");
    failure.set_remedy_zh("请修复 scripts/build.sh。");
  });
  f.End(kBuild, v1::TASK_STATE_FAILED);
  f.End(kPublish, v1::TASK_STATE_SKIPPED);
  CliRun cli(f.controller, SubmitAndFollow());
  CHECK(cli.Wait() == 1);
  CHECK_THAT(cli.out.text(), Contains("build (the script") && Contains("exit code 7") &&
                                 Contains("| npm ERR! missing script") &&
                                 Contains("Mend scripts/build.sh.") &&
                                 Contains("slipway logs task-1-build"));
  CHECK_FALSE(cli.out.Has("slipway qr"));

  auto chinese = SubmitAndFollow();
  chinese.insert(chinese.end(), {"--lang", "zh"});
  CliRun again(f.controller, chinese);
  CHECK(again.Wait() == 1);
  CHECK_THAT(again.out.text(), Contains("请修复 scripts/build.sh。") && Contains("已跳过"));
}

TEST_CASE("slipway submit --follow: an unknown publish is exit 4", "[unit][cli]") {
  Fixture f;
  f.Begin(kBuild);
  f.End(kBuild, v1::TASK_STATE_SUCCEEDED);
  f.Begin(kPublish);
  f.End(kPublish, v1::TASK_STATE_UNKNOWN);
  CliRun cli(f.controller, SubmitAndFollow());
  CHECK(cli.Wait() == 4);
  CHECK_THAT(cli.out.text(), Contains("? weixin publish → production: unknown"));
}

TEST_CASE("slipway submit --follow: a controller that is killed and comes back costs no byte",
          "[unit][cli]") {
  Fixture f;
  f.AddProduct();
  f.Begin(kBuild);
  f.Append(kBuild, "line 1\nhalf a ");
  CliRun cli(f.controller, SubmitAndFollow());
  REQUIRE(WaitUntil([&] { return cli.out.Has("half a "); }));
  f.controller.Stop();
  REQUIRE(WaitUntil([&] { return cli.out.Has("does not answer"); }));
  f.Append(kBuild, "line\nline 3\n");
  f.controller.Start();
  REQUIRE(WaitUntil([&] { return cli.out.Has("line 3\n"); }));
  REQUIRE(WaitUntil([&] { return cli.out.Has("connected again"); }));
  f.End(kBuild, v1::TASK_STATE_SUCCEEDED);
  f.Begin(kPublish);
  f.End(kPublish, v1::TASK_STATE_SUCCEEDED);
  CHECK(cli.Wait() == 0);

  const std::string out = cli.out.text();
  for (const std::string part : {"line 1\n", "half a ", "line\nline 3\n"}) {
    INFO(part);
    CHECK(out.find(part) != std::string::npos);
  }
  CHECK(out.find("line 1") == out.rfind("line 1"));
  CHECK(out.find("half a ") == out.rfind("half a "));
  // The first reading began at 0, whatever came later at the byte where that one was.
  const auto& reads = f.farm.log_reads;
  REQUIRE(reads.size() >= 2);
  CHECK(reads[0].offset() == 0);
  CHECK(reads[1].task() == kBuild);
  CHECK(reads[1].attempt() == 1);
  CHECK(reads[1].offset() == std::string("line 1\nhalf a ").size());
}

TEST_CASE("slipway submit --follow: after the patience it says how to follow again; exit 3",
          "[unit][cli]") {
  Fixture f;
  f.Begin(kBuild);
  f.Append(kBuild, "begun\n");
  auto arguments = SubmitAndFollow();
  arguments.push_back("--patience=300ms");
  CliRun cli(f.controller, arguments);
  REQUIRE(WaitUntil([&] { return cli.out.Has("begun\n"); }));
  f.controller.Stop();
  CHECK(cli.Wait() == 3);
  CHECK_THAT(cli.err.text(), Contains("slipway follow run-1") && Contains("does not answer"));
}

TEST_CASE("slipway submit --follow: Ctrl-C ends the following, not the run; exit 130",
          "[unit][cli]") {
  Fixture f;
  f.Begin(kBuild);
  CliRun cli(f.controller, SubmitAndFollow());
  REQUIRE(WaitUntil([&] { return cli.out.Has("runs on agent-1"); }));
  cli.Interrupt();
  CHECK(cli.Wait() == 130);
  CHECK_THAT(cli.err.text(), Contains("the run goes on") && Contains("slipway follow run-1"));
  CHECK(f.farm.cancels.empty());

  f.End(kBuild, v1::TASK_STATE_FAILED);
  f.End(kPublish, v1::TASK_STATE_SKIPPED);
  CliRun again(f.controller, {"follow", "run-1"});
  CHECK(again.Wait() == 1);
}

TEST_CASE("slipway submit: a lost answer is asked for again with the same request id",
          "[unit][cli]") {
  Fixture f;
  f.farm.unavailable_submits = 1;
  CliRun cli(f.controller, {"submit", "--app", "pocket-shop", "--platform", "weixin", "--json"});
  CHECK(cli.Wait() == 0);
  CHECK_THAT(cli.out.text(), Contains("\"run\": \"run-1\""));
  REQUIRE(f.farm.submits.size() == 2);
  CHECK(f.farm.submits[0].request_id() == f.farm.submits[1].request_id());
}

TEST_CASE("slipway: what the controller refuses is exit 3 with its reason and remedy",
          "[unit][cli]") {
  Fixture f;
  CliRun unknown(f.controller, {"submit", "--app", "nope", "--platform", "weixin"});
  CHECK(unknown.Wait() == 3);
  CHECK_THAT(unknown.err.text(), Contains("there is no application 'nope'") &&
                                     Contains("→ `slipway apps` lists them."));

  const TempDir dir;
  WriteFile(dir / "token", "wrong\n");
  CliRun stranger({"tasks", "--server", f.controller.address(), "--ca", f.controller.ca_file(),
                   "--token-file", dir / "token"});
  CHECK(stranger.Wait() == 3);
  CHECK_THAT(stranger.err.text(), Contains("the API token is not valid"));

  FakeFarm other_farm;
  const FakeController other(other_farm);
  CliRun impostor({"tasks", "--server", f.controller.address(), "--ca", other.ca_file(),
                   "--token-file", f.controller.token_file()});
  CHECK(impostor.Wait() == 3);
  CHECK_THAT(impostor.err.text(), Contains("does not answer") && Contains("CA file"));
}

TEST_CASE("slipway: wrong usage is exit 2 and help is exit 0", "[unit][cli]") {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"submit"},
                                             {"tasks", "--limit", "0"},
                                             {"archive", "get", "rel-1"},
                                             {"archive", "get", "x", "--dir", "a", "--tar", "b"},
                                             {"logs", "x", "--offset", "-1"},
                                             {"agents", "token", "--lifetime", "soon"},
                                             {"tasks"}}) {
    CliRun cli(arguments);
    CHECK(cli.Wait() == 2);
    CHECK_FALSE(cli.err.text().empty());
  }
  CliRun help({"--lang", "zh", "submit", "--help"});
  CHECK(help.Wait() == 0);
  CHECK_THAT(help.out.text(), Contains("跟随到结束"));
  CliRun codes({"--help"});
  CHECK(codes.Wait() == 0);
  CHECK_THAT(codes.out.text(), Contains("4 outcome unknown"));
}

TEST_CASE("slipway tasks: --state filters, show shows steps, cancel cancels", "[unit][cli]") {
  Fixture f;
  CliRun list(f.controller, {"tasks", "--state", "waiting"});
  CHECK(list.Wait() == 0);
  CHECK_THAT(list.out.text(), Contains(kPublish) && !Contains(kBuild));
  CliRun wrong(f.controller, {"tasks", "--state", "sleeping"});
  CHECK(wrong.Wait() == 2);
  CliRun show(f.controller, {"tasks", "show", kBuild});
  CHECK(show.Wait() == 0);
  CHECK_THAT(show.out.text(), Contains("weixin build") && Contains("queued"));
  CliRun cancel(f.controller, {"cancel", kBuild, "--reason", "wrong ref"});
  CHECK(cancel.Wait() == 0);
  REQUIRE(f.farm.cancels.size() == 1);
  CHECK(f.farm.cancels[0].reason() == "wrong ref");
  CliRun none(f.controller, {"tasks", "show", "task-9"});
  CHECK(none.Wait() == 3);
}

TEST_CASE("slipway logs: the exact bytes, from an offset, and exit 1 when some are missing",
          "[unit][cli]") {
  Fixture f;
  const std::string bytes("a\x1b[31m\0\xff\nb\r\n", 12);
  f.Begin(kBuild);
  f.Append(kBuild, bytes);
  CliRun growing(f.controller, {"logs", kBuild});
  CHECK(growing.Wait() == 0);
  CHECK(growing.out.text() == bytes);
  f.End(kBuild, v1::TASK_STATE_SUCCEEDED);
  CliRun rest(f.controller, {"logs", kBuild, "-f", "--offset", "3"});
  CHECK(rest.Wait() == 0);
  CHECK(rest.out.text() == bytes.substr(3));

  f.farm.Update([](FakeFarm& farm) {
    farm.logs[{kBuild, 1}].complete = false;
    farm.logs[{kBuild, 1}].missing = 42;
  });
  CliRun lost(f.controller, {"logs", kBuild, "-f"});
  CHECK(lost.Wait() == 1);
  CHECK(lost.out.text() == bytes);
  CHECK_THAT(lost.err.text(), Contains("42 bytes missing"));
}

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

TEST_CASE(
    "slipway credentials seal: opens for its application alone, never overwrites, and says "
    "what it is bound to",
    "[unit][cli]") {
  Fixture f;
  const auto sealing = crypto::CreateEncryptionCertificate(FarmId("farm-1"), SystemClock().Wall());
  REQUIRE_OK(sealing);
  f.farm.farm.set_sealing_certificate(sealing->certificate_pem);
  const TempDir dir;
  WriteFile(dir / "key", "-----BEGIN RSA PRIVATE KEY-----\nabc\n");
  const std::vector<std::string> arguments = {
      "credentials", "seal",  "--app", "pocket-shop", "--platform", "weixin",
      "--app-id",    "wx123", "--key", dir / "key",   "--out",      dir / "weixin.credential"};
  CliRun seal(f.controller, arguments);
  CHECK(seal.Wait() == 0);
  CHECK_THAT(seal.err.text(), Contains("chmod 600") && Contains("farm-1") &&
                                  Contains(f.farm.application.id()) && Contains("wx123"));
  CHECK_FALSE((seal.err.Has("abc") || seal.out.Has("abc")));

  const std::string sealed = ReadFile(dir / "weixin.credential");
  const crypto::CredentialBinding binding{FarmId("farm-1"), ApplicationId(f.farm.application.id()),
                                          "weixin"};
  const auto opened =
      crypto::OpenCredential(sealed, sealing->certificate_pem, sealing->key_pem.view(), binding);
  REQUIRE_OK(opened);
  CHECK(opened->app_id == "wx123");
  CHECK(opened->secret.view() == "-----BEGIN RSA PRIVATE KEY-----\nabc\n");
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

TEST_CASE("slipway version: the controller's too when there is one", "[unit][cli]") {
  Fixture f;
  CliRun both(f.controller, {"version"});
  CHECK(both.Wait() == 0);
  CHECK_THAT(both.out.text(), Contains("slipway ") && Contains("9.9.9"));
}

}  // namespace
}  // namespace slipway::cli
