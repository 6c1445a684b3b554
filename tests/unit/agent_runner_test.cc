#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "agent/publish/adapter.h"
#include "agent/runner/container_plan.h"
#include "agent/runner/default_version.h"
#include "agent/runner/disk_watch.h"
#include "agent/runner/failures.h"
#include "agent/runner/prepared_image.h"
#include "agent/runner/progress.h"
#include "common/crypto/hash.h"
#include "common/fs/disk_usage.h"
#include "common/status/status.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::runner {
namespace {

using testing::TempDir;
using testing::WriteFile;

RunnerOptions Options() {
  RunnerOptions options;
  options.owner = {.farm = FarmId("farm-1"), .agent = AgentId("agent-1")};
  options.data_dir = "/data";
  options.work_dir = "/work";
  options.init_binary = "/data/bin/slipway-init-1";
  options.host_ca_bundle = "/etc/ca.pem";
  return options;
}
const AttemptKey kKey{TaskId("task-1"), Attempt(2)};

bool HasMount(const executor::ContainerSpec& spec, const std::string& inside, bool read_only) {
  for (const executor::BindMount& bind : spec.binds) {
    if (bind.container_path == inside) return bind.read_only == read_only;
  }
  return false;
}

TEST_CASE("Failures: a status with a reason of the table keeps class and remedies", "[unit]") {
  const protocol::Failure missing = FailureOf(
      MakeError(absl::StatusCode::kNotFound, "IMAGE_MISSING", "no image x", "engine's words"));
  CHECK(missing.klass == protocol::FailureClass::kPolicy);
  CHECK(missing.message == "no image x");
  CHECK(missing.remedy.find("deploy/images/build") != std::string::npos);
  CHECK_FALSE(missing.remedy_zh.empty());
  const protocol::Failure other =
      FailureOf(MakeError(absl::StatusCode::kInternal, "ODD", "odd thing", "do this"));
  CHECK(other.klass == protocol::FailureClass::kInfrastructure);
  CHECK(other.reason == "ODD");
  CHECK(other.remedy == "do this");
  CHECK(FailureOf(absl::CancelledError("x")).klass == protocol::FailureClass::kCanceled);
}

TEST_CASE("Failures: last words are bounded and begin at a line", "[unit]") {
  const std::string words = LastWords(std::string(5000, 'a') + "\nlast line");
  CHECK(words == "last line");
  CHECK(LastWords("short") == "short");
  CHECK(LastWords(std::string(9000, 'b')).size() == 4096);
}

TEST_CASE("BuildContainer: read-only root, init as process 1, and only what a build may touch",
          "[unit]") {
  project::BuildConfig build;
  build.image = "image:1";
  const auto limits = CapLimits({.cpus = 8, .memory = 1000, .pids = 10, .disk = 10},
                                {.cpus = 4, .memory = 500, .pids = 100, .disk = 5}, 2);
  CHECK(limits == project::ResourceLimits{.cpus = 2, .memory = 500, .pids = 10, .disk = 5});
  const executor::ContainerSpec spec = BuildContainer(Options(), kKey, build, limits);
  CHECK_OK(executor::Validate(spec));
  CHECK(spec.name == "slipway-agent-1-task-1-2");
  CHECK(spec.argv == std::vector<std::string>{"/slipway/init"});
  CHECK(spec.read_only_rootfs);
  CHECK(spec.network.kind == executor::NetworkKind::kNone);
  CHECK(HasMount(spec, "/slipway/init", true));
  CHECK(HasMount(spec, "/slipway/control", false));
  CHECK(HasMount(spec, "/workspace", false));
  CHECK(HasMount(spec, "/slipway/cache", false));
  CHECK(spec.memory_bytes == 500);
  for (const executor::TmpfsMount& tmpfs : spec.tmpfs)
    CHECK(tmpfs.container_path != "/slipway/secrets");
}

TEST_CASE("WarmContainer: what is made ahead differs from its build's in name and labels alone",
          "[unit]") {
  project::BuildConfig build;
  build.image = "image:1";
  build.network = project::NetworkAccess::kBridge;
  const project::ResourceLimits limits = {.cpus = 1, .memory = 500, .pids = 10, .disk = 5};
  const executor::ContainerSpec own = BuildContainer(Options(), kKey, build, limits);
  const AttemptPaths paths = PathsOf(Options(), kKey);
  executor::ContainerSpec ahead = WarmContainer(Options(), BuildKind("image:1", build, limits),
                                                {.dir = paths.dir,
                                                 .control = paths.control,
                                                 .out = paths.out,
                                                 .home = paths.home,
                                                 .tree = paths.tree,
                                                 .caches = paths.caches});
  CHECK(ahead.argv == std::vector<std::string>{"/slipway/init", "--wait"});
  CHECK(ahead.labels.empty());
  ahead.name = own.name;
  ahead.labels = own.labels;
  CHECK_OK(executor::Validate(ahead));
  CHECK(ahead.image == own.image);
  CHECK(ahead.network.kind == own.network.kind);
  CHECK(ahead.network.name == own.network.name);
  CHECK(ahead.memory_bytes == own.memory_bytes);
  CHECK(ahead.cpus == own.cpus);
  CHECK(ahead.pids_limit == own.pids_limit);
  CHECK(ahead.binds.size() == own.binds.size());
  CHECK(ahead.tmpfs.size() == own.tmpfs.size());
  CHECK(ahead.read_only_rootfs);
}

TEST_CASE("PublishContainer: the product is read-only and nothing of a build is there", "[unit]") {
  PublishWork work;
  work.image = "publisher:1";
  work.network = "host";
  const executor::ContainerSpec spec = PublishContainer(Options(), kKey, work);
  CHECK_OK(executor::Validate(spec));
  CHECK(spec.network.kind == executor::NetworkKind::kHost);
  CHECK(HasMount(spec, "/slipway/product", true));
  CHECK(HasMount(spec, "/slipway/in", true));
  CHECK_FALSE(HasMount(spec, "/workspace", false));
  const executor::TmpfsMount& secrets = spec.tmpfs.back();
  CHECK(secrets.container_path == "/slipway/secrets");
  CHECK(secrets.uid == 1000);
  CHECK(secrets.mode == 0700);
}

TEST_CASE("BuildEnvironment: the project may set its own, never the farm's", "[unit]") {
  TaskSpec task;
  task.platform = "weixin";
  task.application_name = "shop";
  project::BuildConfig build;
  build.env = {{"PATH", "/mine"}, {"HOME", "/evil"}, {"A", "1"}};
  const auto env =
      BuildEnvironment(Options(), task, build,
                       {.commit = "c", .version = "1", .app_id = "wx", .output = "dist/weixin"});
  const auto has = [&](const std::string& one) {
    return std::find(env.begin(), env.end(), one) != env.end();
  };
  CHECK(has("PATH=/mine"));
  CHECK(has("HOME=/slipway/home"));
  CHECK(has("A=1"));
  CHECK(has("SLIPWAY_OUTPUT=/workspace/dist/weixin"));
  CHECK(has("SLIPWAY_RESULT=/slipway/out/result.json"));
  CHECK(has("NODE_EXTRA_CA_CERTS=/slipway/ca.pem"));
}

TEST_CASE("BuildEnvironment: a declared tool finds its cache, another one what the project says",
          "[unit]") {
  project::BuildConfig build;
  build.env = {{"npm_config_cache", "/mine"}, {"CCACHE_DIR", "/mine"}};
  const auto env = BuildEnvironment(
      Options(), {}, build,
      {.commit = "c", .version = "1", .app_id = "wx", .output = ".", .tool_caches = {"npm"}});
  const auto has = [&](const std::string& one) {
    return std::find(env.begin(), env.end(), one) != env.end();
  };
  CHECK(has("SLIPWAY_CACHE=/slipway/cache"));
  CHECK(has("npm_config_cache=/slipway/cache/npm"));
  CHECK(has("CCACHE_DIR=/mine"));
}

ImageRecipe Recipe() {
  return {.application = "app-1",
          .base = "slipway-builder:1",
          .base_id = "sha256:1",
          .preparation = {.apt = {"jq"}, .files = {"a"}, .run = "npm ci"},
          .files = {{"a", "1"}},
          .env = {{"NAME", "it's"}}};
}

TEST_CASE("PreparedName: whatever the image is made of changes it, and nothing else does",
          "[unit]") {
  const std::string name = PreparedName(Recipe());
  CHECK(name.starts_with("slipway-prepared/app-1:"));
  CHECK(executor::ValidateImageName(name).ok());
  CHECK(PreparedName(Recipe()) == name);
  const auto changed = [&](const auto& change) {
    ImageRecipe recipe = Recipe();
    change(recipe);
    return PreparedName(recipe) != name;
  };
  CHECK(changed([](auto& r) { r.application = "app-2"; }));
  CHECK(changed([](auto& r) { r.base_id = "sha256:2"; }));
  CHECK(changed([](auto& r) { r.preparation.apt = {"yq"}; }));
  CHECK(changed([](auto& r) { r.preparation.run = "npm ci "; }));
  CHECK(changed([](auto& r) { r.files[0].first = "b"; }));
  CHECK(changed([](auto& r) { r.files[0].second = "2"; }));
  CHECK(changed([](auto& r) { r.env["NAME"] = "its"; }));
  CHECK(changed([](auto& r) {
    // The same bytes, divided otherwise.
    r.preparation.apt = {"j", "q"};
  }));
  CHECK_FALSE(changed([](auto& r) { r.base = "another-name:1"; }));
  CHECK_FALSE(changed([](auto& r) { r.preparation.timeout = std::chrono::hours(1); }));
}

TEST_CASE("PrepareScript: what the project says is a word to the shell, whatever is in it",
          "[unit]") {
  const std::string script = PrepareScript(Recipe(), false);
  CHECK_THAT(script, Catch::Contains("export NAME='it'\\''s'\n"));
  CHECK_THAT(script, Catch::Contains("--no-install-recommends -- jq\n"));
  CHECK_THAT(script, Catch::EndsWith("/bin/sh -euc 'npm ci'\n"));
  CHECK_THAT(script, !Catch::Contains("SSL_CERT_FILE"));
  CHECK_THAT(PrepareScript(Recipe(), true),
             Catch::Contains("export SSL_CERT_FILE=/slipway/ca.pem"));
}

TEST_CASE("BuildEnvironment: a parameter's value is one variable, whatever is in it", "[unit]") {
  const auto env = BuildEnvironment(
      Options(), {}, {},
      {.commit = "c",
       .version = "1",
       .app_id = "wx",
       .output = ".",
       .parameters = {{"theme-file", "a.json"}, {"banner", "$(id); x=\"y\""}, {"none", ""}}});
  const auto has = [&](const std::string& one) {
    return std::find(env.begin(), env.end(), one) != env.end();
  };
  CHECK(has("SLIPWAY_PARAM_THEME_FILE=a.json"));
  CHECK(has("SLIPWAY_PARAM_BANNER=$(id); x=\"y\""));
  CHECK(has("SLIPWAY_PARAM_NONE="));
}

TEST_CASE("DefaultVersion: numbers of the commit's time", "[unit]") {
  CHECK(DefaultVersion(FromUnixMicros(1'795'253'400'000'000)) == "2026.1121.930");
  CHECK(DefaultVersion(FromUnixMicros(0)) == "1970.101.0");
}

TEST_CASE("Progress: what was saved is loaded", "[unit]") {
  const TempDir dir;
  CHECK(LoadProgress(dir.path()).status().code() == absl::StatusCode::kNotFound);
  const Progress progress{
      .started_at = FromUnixMicros(5),
      .commit = "abc",
      .container = "id",
      .image_id = "sha256:1",
      .network = "lender",
      .archived = Progress::Archived{.manifest = crypto::Sha256Of("x"), .bytes = 7, .files = 2},
      .step_started_at = FromUnixMicros(7)};
  for (const Survives survives : {Survives::kProcess, Survives::kMachine}) {
    REQUIRE_OK(SaveProgress(dir.path(), progress, survives));
    CHECK(LoadProgress(dir.path()).value() == progress);
    REQUIRE_OK(SaveProgress(dir.path(), {}, survives));
    CHECK(LoadProgress(dir.path()).value() == Progress());
  }
}

TEST_CASE("DiskWatch: directories deeper than a path reaches hide nothing from it", "[unit]") {
  const TempDir dir;
  const std::string name(200, 'd');
  int at = open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(at >= 0);
  for (int depth = 0; depth < 30; ++depth) {
    REQUIRE(mkdirat(at, name.c_str(), 0755) == 0);
    const int below = openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(below >= 0);
    close(at);
    at = below;
  }
  close(at);
  CHECK(fs::DiskUsage(dir.path()) == fs::kUncountable);
  DiskWatch watch({.directories = {dir.path(), dir.path()}, .limit_bytes = 1'000'000'000});
  const auto failure = watch.Check(MonoTime{});
  REQUIRE(failure.has_value());
  CHECK(failure->reason == "DISK_LIMIT");
}

TEST_CASE("DiskWatch: what is written over the limit ends the script", "[unit]") {
  const TempDir dir;
  WriteFile(dir / "a/b", std::string(300'000, 'x'));
  std::filesystem::create_directory_symlink("/usr", dir / "link");
  CHECK(fs::DiskUsage(dir.path()) >= 300'000);
  CHECK(fs::DiskUsage(dir.path()) < 1'000'000);
  DiskWatch within({.directories = {dir.path()}, .limit_bytes = 1'000'000});
  CHECK_FALSE(within.Check(MonoTime{}));
  DiskWatch over({.directories = {dir.path()}, .limit_bytes = 100'000});
  const auto failure = over.Check(MonoTime{});
  REQUIRE(failure);
  CHECK(failure->reason == "DISK_LIMIT");
  DiskWatch full({.directories = {dir.path()},
                  .limit_bytes = 0,
                  .floor_bytes = std::int64_t{1} << 60,
                  .floor_percent = 100});
  const auto machine = full.Check(MonoTime{});
  REQUIRE(machine);
  CHECK(machine->reason == "DISK_FLOOR");
  CHECK(machine->klass == protocol::FailureClass::kInfrastructure);
}

TEST_CASE("Adapter: the request has the options of slipway.yaml as they are, whatever the platform",
          "[unit]") {
  const std::string json = publish::EncodeRequest({.probe = false,
                                                   .platform = "weixin",
                                                   .app_id = "wx1",
                                                   .mode = "upload",
                                                   .version = "1.0",
                                                   .description = "a \"b\"",
                                                   .product_dir = "/p",
                                                   .credential_file = "/c",
                                                   .out_dir = "/o",
                                                   .ca_file = "",
                                                   .proxy = "http://proxy:1",
                                                   .deadline = std::chrono::seconds(600),
                                                   .options = {{"robot", "3"},
                                                               {"use_project_config", "false"},
                                                               {"prove_timeout_seconds", "40"},
                                                               {"minify_wxml", "true"}}});
  for (const char* part :
       {"\"contractVersion\":1",
        "\"options\":{\"minify_wxml\":true,\"prove_timeout_seconds\":40,\"robot\":3,"
        "\"use_project_config\":false}",
        "\"deadlineSeconds\":585", "\"proxy\":\"http://proxy:1\"",
        "\"description\":\"a \\\"b\\\"\""}) {
    INFO(json);
    CHECK(json.find(part) != std::string::npos);
  }
  CHECK(json.find("caFile") == std::string::npos);
  CHECK(json.find("\"operation\":\"publish\"") != std::string::npos);
}

TEST_CASE("Adapter: of a credential in JSON, the key inside may not be shown either", "[unit]") {
  const std::string key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n";
  const std::string identity =
      R"({"alipay": {"authentication": {"privateKey": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBAD)"
      R"(ANBgkqhkiG9w0BAQ\n", "toolId": "tool-1"}}})";
  CHECK(publish::SecretWords(identity) == std::vector<std::string>{identity, key});
  CHECK(publish::SecretWords(key) == std::vector<std::string>{key});
  CHECK(publish::SecretWords("a-token\n") == std::vector<std::string>{"a-token\n"});
}

TEST_CASE("Adapter: a probe's request names no product and its answer is one of three", "[unit]") {
  publish::AdapterRequest request;
  request.probe = true;
  const std::string json = publish::EncodeRequest(request);
  CHECK(json.find("\"operation\":\"probe\"") != std::string::npos);
  CHECK(json.find("projectDir") == std::string::npos);

  const auto told = publish::ParseResult(
      R"({"ok": true, "stage": "prove", "probe": {"verdict": "published", "version": "1.2",
          "link": "https://x", "words": "it is there", "remedy": "r", "remedyZh": "z"}})");
  REQUIRE_OK(told);
  const auto& probe = std::get<protocol::ProbeOutcome>(told->what);
  CHECK(probe.verdict == protocol::ProbeVerdict::kPublished);
  CHECK(probe.version == "1.2");
  CHECK(probe.words == "it is there");
  for (const char* bad : {R"({"ok": true, "probe": {"verdict": "perhaps"}})",
                          R"({"ok": true, "probe": {}})", R"({"ok": true, "probe": "yes"})"}) {
    CHECK_THAT(publish::ParseResult(bad).status(),
               testing::StatusIs(absl::StatusCode::kInvalidArgument, "PUBLISH_RESULT_INVALID"));
  }
}

TEST_CASE("Adapter: what nobody can mask any more loses its texts and keeps its meaning",
          "[unit]") {
  const std::string words = "my-secret";
  const auto holds = [&](const publish::AdapterResult& result) {
    const auto* failure = std::get_if<protocol::Failure>(&result.what);
    const auto* outcome = std::get_if<protocol::PublishOutcome>(&result.what);
    const auto* probe = std::get_if<protocol::ProbeOutcome>(&result.what);
    std::string all = result.stage;
    if (failure != nullptr) {
      all += failure->message + failure->tool_words + failure->remedy + failure->remedy_zh;
    }
    if (outcome != nullptr)
      all += outcome->link + outcome->code.text + outcome->code.image_url + outcome->details_json +
             result.code_file;
    if (probe != nullptr) all += probe->version + probe->link + probe->words + probe->remedy;
    return all.find(words) != std::string::npos;
  };
  for (const char* json :
       {R"({"ok": false, "stage": "my-secret", "class": "network", "reason": "my-secret",
            "remedy": "my-secret", "remedyZh": "my-secret"})",
        R"({"ok": true, "stage": "upload", "link": "my-secret", "qrText": "my-secret",
            "qrImageUrl": "https://my-secret", "qrFile": "my-secret",
            "sizes": ["my-secret"]})",
        R"({"ok": true, "probe": {"verdict": "not_published", "words": "my-secret"}})"}) {
    auto result = publish::ParseResult(json);
    REQUIRE_OK(result);
    CHECK(holds(*result));
    const std::size_t kind = result->what.index();
    publish::DropText(*result);
    CHECK_FALSE(holds(*result));
    CHECK(result->what.index() == kind);
  }
}

TEST_CASE("Adapter: a platform's code comes as text, address, file and with its end", "[unit]") {
  const auto full = publish::ParseResult(R"({"ok": true, "stage": "preview", "qrText": "say this",
      "qrImageUrl": "https://p.example/c?x=1", "qrFile": "preview-qr.jpg",
      "qrExpiresAt": "2026-11-23T07:00:00.000Z"})");
  REQUIRE_OK(full);
  const auto& code = std::get<protocol::PublishOutcome>(full->what).code;
  CHECK(code.text == "say this");
  CHECK(code.image_url == "https://p.example/c?x=1");
  CHECK(ToUnixMicros(code.expires_at) == 1'795'417'200'000'000);
  CHECK(full->code_file == "preview-qr.jpg");
  CHECK(code.image_type.empty());
}

TEST_CASE("Adapter: what is no code, address, file name or time is none", "[unit]") {
  const std::string long_text(2049, 'x');
  for (const std::string& field :
       {std::string(R"("qrImageUrl": "javascript:alert")"),
        std::string(R"("qrImageUrl": "file:///etc/passwd")"),
        fmt::format(R"("qrText": "{}")", long_text),
        fmt::format(R"("qrImageUrl": "https://{}")", long_text),
        std::string(R"("qrFile": "../result.json")"), std::string(R"("qrFile": "a/b.png")"),
        std::string(R"("qrFile": "..")"),
        std::string(R"("qrFile": 7, "qrText": [1], "qrExpiresAt": 12)"),
        std::string(R"("qrExpiresAt": "tomorrow")"),
        std::string(R"("qrExpiresAt": "9999-01-01T00:00:00Z")"),
        std::string(R"("qrExpiresAt": "1900-01-01T00:00:00Z")")}) {
    INFO(field);
    const auto result = publish::ParseResult("{\"ok\": true, " + field + "}");
    REQUIRE_OK(result);
    CHECK(std::get<protocol::PublishOutcome>(result->what).code == protocol::PlatformCode());
    CHECK(result->code_file.empty());
  }
}

TEST_CASE("Adapter: only whole lines of the progress file announce a stage", "[unit]") {
  CHECK(publish::Announces("prove\nupload\n", "upload"));
  CHECK_FALSE(publish::Announces("prove\nupload", "upload"));
  CHECK_FALSE(publish::Announces("uploads\n", "upload"));
  CHECK_FALSE(publish::Announces("", "upload"));
  CHECK_FALSE(publish::Announces("\n\n", "upload"));
}

TEST_CASE("Adapter: details that nobody could read again are left out", "[unit]") {
  const auto kept = publish::ParseResult(R"({"ok": true, "sizes": [1, 2.5]})");
  REQUIRE_OK(kept);
  CHECK(std::get<protocol::PublishOutcome>(kept->what).details_json.find("2.5") !=
        std::string::npos);
  const auto infinite = publish::ParseResult(R"({"ok": true, "size": 1e999, "link": "https://x"})");
  REQUIRE_OK(infinite);
  CHECK(std::get<protocol::PublishOutcome>(infinite->what).details_json == "{}");
  CHECK(std::get<protocol::PublishOutcome>(infinite->what).link == "https://x");
}

TEST_CASE("Adapter: once the upload has begun only the platform's answer leaves no doubt",
          "[unit]") {
  const auto in_doubt = [](const std::string& klass, bool started, const char* mode) {
    const auto result =
        publish::ParseResult(R"({"ok": false, "stage": "upload", "class": ")" + klass +
                             R"(", "uploadStarted": )" + (started ? "true}" : "false}"));
    REQUIRE_OK(result);
    return publish::InDoubt(*result, mode);
  };
  for (const char* klass :
       {"network", "timeout", "infrastructure", "build", "policy", "canceled", "publish_unknown"}) {
    INFO(klass);
    CHECK(in_doubt(klass, true, "upload"));
    CHECK_FALSE(in_doubt(klass, false, "upload"));
    CHECK_FALSE(in_doubt(klass, true, "preview"));
  }
  for (const char* klass : {"platform_refused", "credential"}) {
    INFO(klass);
    CHECK_FALSE(in_doubt(klass, true, "upload"));
  }
  const auto done = publish::ParseResult(R"({"ok": true, "uploadStarted": true})");
  REQUIRE_OK(done);
  CHECK_FALSE(publish::InDoubt(*done, "upload"));
}

TEST_CASE("Adapter: a result that makes no sense is refused", "[unit]") {
  for (const std::string& json :
       {std::string(), std::string("[]"), std::string("{}"), std::string("{\"ok\": 1}"),
        std::string("{\"ok\": false, \"class\": \"weather\"}"), std::string(70'000, '[')}) {
    CHECK_THAT(publish::ParseResult(json).status(),
               testing::StatusIs(absl::StatusCode::kInvalidArgument, "PUBLISH_RESULT_INVALID"));
  }
  const auto unknown = publish::ParseResult(
      R"({"ok": false, "stage": "upload", "class": "publish_unknown", "reason": "reset",
          "uploadStarted": true})");
  REQUIRE_OK(unknown);
  CHECK(unknown->upload_started);
  CHECK(std::get<protocol::Failure>(unknown->what).klass ==
        protocol::FailureClass::kPublishUnknown);
}

}  // namespace
}  // namespace slipway::runner
