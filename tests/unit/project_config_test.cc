#include "common/project/project_config.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "agent/workspace/script_result.h"
#include "tests/support/status_matchers.h"

namespace slipway::project {
namespace {

using testing::StatusIs;
using namespace std::chrono_literals;

constexpr char kFull[] = R"(version: 1
build:
  image: slipway-builder:1
  script: ./scripts//build.sh
  timeout: 20m
  no_output_timeout: 90s
  network: none
  env: {NODE_ENV: production, LEVEL: 3}
  limits: {cpus: 2.5, memory: 2GiB, pids: 512, disk: 4GiB}
platforms:
  weixin:
    app_id: wx5e1f0c2d3b4a6978
    output: dist/weixin
    credential: .slipway/weixin.credential
    env: {LEVEL: 4}
    publish: {robot: 1}
  alipay:
    output: .
    build:
      run: |
        make alipay
      network: bridge
      limits: {memory: 1GiB}
)";

std::string ErrorOf(const std::string& text) {
  return std::string(ParseProjectConfig(text).status().message());
}

// The full text with one piece replaced.
std::string With(const std::string& from, const std::string& to) {
  std::string text = kFull;
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("ParseProjectConfig: every key reaches its platform", "[unit][workspace]") {
  const auto project = ParseProjectConfig(kFull);
  REQUIRE_OK(project);
  CHECK(project->PlatformNames() == "weixin, alipay");
  CHECK(project->Find("baidu") == nullptr);
  const PlatformConfig* weixin = project->Find("weixin");
  REQUIRE(weixin != nullptr);
  CHECK(weixin->app_id == "wx5e1f0c2d3b4a6978");
  CHECK(weixin->output == "dist/weixin");
  CHECK(weixin->credential == ".slipway/weixin.credential");
  CHECK(weixin->publish == std::map<std::string, std::string>{{"robot", "1"}});
  CHECK(weixin->build.image == "slipway-builder:1");
  CHECK(weixin->build.script == "scripts/build.sh");
  CHECK(weixin->build.run.empty());
  CHECK(weixin->build.timeout == 20min);
  CHECK(weixin->build.no_output_timeout == 90s);
  CHECK(weixin->build.network == NetworkAccess::kNone);
  CHECK(weixin->build.env ==
        std::map<std::string, std::string>{{"NODE_ENV", "production"}, {"LEVEL", "4"}});
  CHECK(weixin->build.limits == ResourceLimits{2.5, 2LL << 30, 512, 4LL << 30});
}

TEST_CASE("ParseProjectConfig: a platform overrides keys of the build and keeps the others",
          "[unit][workspace]") {
  const auto project = ParseProjectConfig(kFull);
  REQUIRE_OK(project);
  const PlatformConfig* alipay = project->Find("alipay");
  REQUIRE(alipay != nullptr);
  CHECK(alipay->output == ".");
  CHECK(alipay->build.script.empty());
  CHECK(alipay->build.run == "make alipay\n");
  CHECK(alipay->build.network == NetworkAccess::kBridge);
  CHECK(alipay->build.image == "slipway-builder:1");
  CHECK(alipay->build.limits == ResourceLimits{2.5, 1LL << 30, 512, 4LL << 30});
  CHECK(alipay->build.env.at("LEVEL") == "3");
}

TEST_CASE(
    "ParseProjectConfig: what an image is prepared with is read, and a platform may say it anew",
    "[unit][workspace]") {
  const std::string text = With("  script:", R"(  prepare:
    apt: [g++, jq, 'libfoo1=2:1.0~rc1-1+b1']
    files: [./package.json, lib//x.tgz]
    run: npm ci
    timeout: 90s
  script:)");
  const auto project = ParseProjectConfig(text);
  REQUIRE_OK(project);
  const auto& prepare = project->Find("weixin")->build.prepare;
  REQUIRE(prepare);
  CHECK(prepare->apt == std::vector<std::string>{"g++", "jq", "libfoo1=2:1.0~rc1-1+b1"});
  CHECK(prepare->files == std::vector<std::string>{"lib/x.tgz", "package.json"});
  CHECK(prepare->run == "npm ci");
  CHECK(prepare->timeout == 90s);
  CHECK(project->Find("alipay")->build.prepare == prepare);
  CHECK_FALSE(ParseProjectConfig(kFull)->Find("weixin")->build.prepare);

  const auto own =
      ParseProjectConfig(With("    build:\n", "    build:\n      prepare: {apt: [jq]}\n"));
  REQUIRE_OK(own);
  CHECK(own->Find("alipay")->build.prepare->apt.size() == 1);
  CHECK_FALSE(own->Find("weixin")->build.prepare);
}

TEST_CASE("ParseProjectConfig: what an image cannot be prepared with is refused",
          "[unit][workspace]") {
  const auto error_of = [](const std::string& prepare) {
    return ErrorOf(With("  script:", "  prepare: " + prepare + "\n  script:"));
  };
  for (const char* package : {"-y", "Jq", "j", "a b", "jq;id", "jq=", "jq=-1 2", "jq/stable",
                              "./x.deb", "jq-", "../jq"}) {
    INFO(package);
    CHECK_THAT(error_of(std::string("{apt: ['") + package + "']}"),
               Catch::Contains("build.prepare.apt") && Catch::Contains("Debian package"));
  }
  CHECK_THAT(error_of("{files: [../x], run: a}"), Catch::Contains("build.prepare.files"));
  CHECK_THAT(error_of("{files: [/etc/passwd], run: a}"), Catch::Contains("build.prepare.files"));
  CHECK_THAT(error_of("{files: [x, ./x], run: a}"), Catch::Contains("named twice"));
  CHECK_THAT(error_of("{files: [x]}"), Catch::Contains("nothing to do"));
  CHECK_THAT(error_of("{run: a, timeout: 3h}"), Catch::Contains("1s to 2h"));
  CHECK_THAT(error_of("{run: a, user: root}"), Catch::Contains("user"));
  CHECK_THAT(error_of("npm ci"), Catch::Contains("build.prepare"));
}

TEST_CASE("ParseProjectConfig: a mistyped key is named with the one that was meant",
          "[unit][workspace]") {
  CHECK(ErrorOf(With("\n  timeout: 20m", "\n  timeot: 20m")) ==
        "slipway.yaml:5:3: build.timeot: unknown key; did you mean 'timeout'?");
  CHECK_THAT(ParseProjectConfig(With("script:", "scirpt:")).status(),
             StatusIs(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID"));
}

TEST_CASE("ParseProjectConfig: paths that leave the work tree are refused", "[unit][workspace]") {
  for (const char* path : {"/etc", "../x", "a/../../b", "dist/..", "''", "\"a\\nb\"", "'a\\b'"}) {
    INFO(path);
    CHECK_THAT(ErrorOf(With("dist/weixin", path)),
               Catch::Contains("slipway.yaml:13:13: platforms.weixin.output"));
    CHECK_FALSE(ParseProjectConfig(With(".slipway/weixin.credential", path)).ok());
    CHECK_FALSE(ParseProjectConfig(With("./scripts//build.sh", path)).ok());
  }
  CHECK_FALSE(ParseProjectConfig(With("./scripts//build.sh", ".")).ok());
}

TEST_CASE("ParseProjectConfig: operator settings are refused and the message says whose they are",
          "[unit][workspace]") {
  for (const char* key : {"proxy", "hosts", "ca", "privileged", "volumes", "user"}) {
    INFO(key);
    const std::string line = std::string(key) + ": {x: [1, {y: 2}]}";
    CHECK_THAT(ErrorOf(With("version: 1\n", "version: 1\n" + line + "\n")),
               Catch::Contains("slipway.yaml:2:1:") && Catch::Contains("operator settings"));
    CHECK_THAT(ErrorOf(With("build:\n", "build:\n  " + line + "\n")),
               Catch::Contains("operator settings"));
    CHECK_THAT(ErrorOf(With("  weixin:\n", "  weixin:\n    " + line + "\n")),
               Catch::Contains("operator settings"));
    CHECK_THAT(ErrorOf(With("robot: 1", line)), Catch::Contains("operator settings"));
  }
}

TEST_CASE("ParseProjectConfig: wrong values name line, key and what is allowed",
          "[unit][workspace]") {
  CHECK_THAT(ErrorOf(With("version: 1", "version: 2")), Catch::Contains(":1:10: version:"));
  CHECK_THAT(ErrorOf(With("network: none", "network: host")),
             Catch::Contains(":7:12: build.network: 'host'") && Catch::Contains("none, bridge"));
  CHECK_THAT(ErrorOf(With("NODE_ENV:", "SLIPWAY_X:")), Catch::Contains("SLIPWAY_"));
  CHECK_THAT(ErrorOf(With("NODE_ENV:", "1A:")), Catch::Contains("build.env"));
  CHECK_THAT(ErrorOf(With("cpus: 2.5", "cpus: 0")), Catch::Contains("build.limits.cpus"));
  CHECK_THAT(ErrorOf(With("memory: 2GiB", "memory: lots")), Catch::Contains("512MiB"));
  CHECK_THAT(ErrorOf(With("image: slipway-builder:1", "image: --privileged")),
             Catch::Contains("build.image"));
  CHECK_THAT(ErrorOf(With("  timeout: 20m", "  timeout: 25h")), Catch::Contains("1s to 1d"));
  CHECK_THAT(ErrorOf(With("  script:", "  run: x\n  script:")), Catch::Contains("not both"));
  CHECK_THAT(ErrorOf(With("  script: ./scripts//build.sh\n", "")),
             Catch::Contains("platforms.weixin.build: nothing to run"));
  CHECK_THAT(ErrorOf(With("  image: slipway-builder:1\n", "")), Catch::Contains("no image"));
  CHECK_THAT(ErrorOf(With("  weixin:\n", "  WeiXin:\n")), Catch::Contains("not a platform name"));
  CHECK_THAT(ErrorOf(With("    output: dist/weixin\n", "")), Catch::Contains("weixin.output"));
  CHECK_THAT(ErrorOf(With("robot: 1", "Robot: 1")), Catch::Contains("publish.Robot"));
  CHECK_THAT(ErrorOf(With("robot: 1", "robot: [1]")), Catch::Contains("publish.robot"));
  CHECK_THAT(ErrorOf("version: 1\nbuild: {image: a, run: b}\n"), Catch::Contains("platforms"));
  CHECK_THAT(ErrorOf("version: 1\nbuild: {image: a, run: b}\nplatforms: {}\n"),
             Catch::Contains("platforms"));
  CHECK_THAT(ErrorOf("version: 1\nplatforms: {weixin: }\n"), Catch::Contains("weixin"));
}

TEST_CASE("ParseProjectConfig: mutated texts give a config or a located error, never a crash",
          "[unit][workspace]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  constexpr char kLetters[] = "\0\t\n :-[]{}&*!|>'\"%@`#,?a1\xff\xc3\xe2\x80";
  const std::string alphabet(kLetters, sizeof kLetters - 1);
  for (int round = 0; round < 3000; ++round) {
    std::string text = kFull;
    const unsigned edits = 1 + random() % 6;
    for (unsigned edit = 0; edit < edits; ++edit) {
      const std::size_t at = random() % text.size();
      switch (random() % 4) {
        case 0: text[at] = alphabet[random() % alphabet.size()]; break;
        case 1: text.insert(at, 1, alphabet[random() % alphabet.size()]); break;
        case 2: text.erase(at, 1 + random() % 8); break;
        default: text.insert(at, text.substr(random() % text.size(), random() % 40)); break;
      }
      if (text.empty()) text = "x";
    }
    const auto project = ParseProjectConfig(text);
    if (project.ok()) {
      CHECK_FALSE(project->platforms.empty());
    } else {
      const std::string message(project.status().message());
      const bool located = message.rfind("slipway.yaml:", 0) == 0;
      if (!located) FAIL(message << "\n" << text);
    }
  }
}

TEST_CASE("ParseScriptResult: known strings are read and other keys ignored", "[unit][workspace]") {
  const auto result =
      workspace::ParseScriptResult(R"({"version":"1.2","qr":"https://x","n":[1],"error":null})");
  REQUIRE_OK(result);
  CHECK(result->version == "1.2");
  CHECK(result->qr == "https://x");
  CHECK(result->error.empty());
  CHECK_OK(workspace::ParseScriptResult(" \n"));
}

TEST_CASE("ParseScriptResult: hostile or broken JSON gives a clear error", "[unit][workspace]") {
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string("{\"version\":1}"),
        "{\"version\":\"" + std::string(129, 'a') + "\"}", std::string("{\"qr\":\"a\\u0000\"}"),
        std::string("{\"version\":\"\xff\"}"), std::string(20000, '['),
        "{\"x\":\"" + std::string(70000, 'a') + "\"}"}) {
    INFO(text.substr(0, 80));
    CHECK_THAT(workspace::ParseScriptResult(text).status(),
               StatusIs(absl::StatusCode::kInvalidArgument, "SCRIPT_RESULT_INVALID"));
  }
  std::string umlauts;
  for (int i = 0; i < 4000; ++i) umlauts += "ä";
  const auto cut = workspace::ParseScriptResult("{\"error\":\"x" + umlauts + "\"}");
  REQUIRE_OK(cut);
  CHECK(cut->error == "x" + umlauts.substr(0, 4094));
}

}  // namespace
}  // namespace slipway::project
