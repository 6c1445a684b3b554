#include <catch2/catch.hpp>
#include <string>

#include "common/project/project_config.h"
#include "tests/support/status_matchers.h"

namespace slipway::project {
namespace {

using testing::StatusIs;

std::string With(const std::string& top, const std::string& weixin = "") {
  return "version: 1\nbuild: {image: a:1, run: x}\n" + top +
         "platforms:\n  weixin:\n    output: dist/weixin\n" + weixin +
         "  alipay:\n    output: out\n";
}

std::string ErrorOf(const std::string& text) {
  const auto status = ParseProjectConfig(text).status();
  CHECK_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID"));
  return std::string(status.message());
}

TEST_CASE("Caches: tools and folders reach every platform", "[unit]") {
  const auto project = ParseProjectConfig(
      With("caches:\n  npm: true\n  ccache: true\n"
           "  modules: {path: ./node_modules/, key: [b/lock, package-lock.json, a]}\n"));
  REQUIRE_OK(project);
  const std::vector<CacheConfig> all = {
      {.name = "ccache"},
      {.name = "modules", .path = "node_modules", .key = {"a", "b/lock", "package-lock.json"}},
      {.name = "npm"}};
  CHECK(project->Find("weixin")->caches == all);
  CHECK(project->Find("alipay")->caches == all);
  CHECK(ParseProjectConfig(With(""))->Find("weixin")->caches.empty());
}

TEST_CASE("Caches: a platform has its own over them, name by name", "[unit]") {
  const auto project =
      ParseProjectConfig(With("caches: {npm: true, modules: {path: node_modules, key: lock}}\n",
                              "    caches:\n      npm: false\n      ccache: true\n"
                              "      modules: {path: app/node_modules, key: app/lock}\n"));
  REQUIRE_OK(project);
  CHECK(project->Find("weixin")->caches ==
        std::vector<CacheConfig>{
            {.name = "ccache"},
            {.name = "modules", .path = "app/node_modules", .key = {"app/lock"}}});
  CHECK(project->Find("alipay")->caches ==
        std::vector<CacheConfig>{{.name = "modules", .path = "node_modules", .key = {"lock"}},
                                 {.name = "npm"}});
}

TEST_CASE("Caches: what cannot be kept is refused where it stands", "[unit]") {
  struct Case {
    std::string text;
    std::string says;
  };
  std::string many = "caches:\n";
  for (int i = 0; i < 17; ++i) {
    many += "  c" + std::to_string(i) + ": {path: p" + std::to_string(i) + ", key: lock}\n";
  }
  std::string keys = "caches: {m: {path: p, key: [f0";
  for (int i = 1; i < 17; ++i) keys += ", f" + std::to_string(i);
  const Case wrong = GENERATE_COPY(
      Case{"caches: {npmm: true}\n", "caches.npmm: not a known cache: true is for npm, ccache"},
      Case{"caches: {Npm: {path: p, key: k}}\n", "caches.Npm: not a name of a cache"},
      Case{"caches: {npm: yes}\n", "caches.npm"}, Case{"caches: {npm: }\n", "use true or false"},
      Case{"caches: {npm: {path: p, key: k}}\n", "give the folder another name"},
      Case{"caches: {m: {key: k}}\n", "caches.m.path: required"},
      Case{"caches: {m: {path: p}}\n", "caches.m.key: required"},
      Case{"caches: {m: {path: /p, key: k}}\n", "caches.m.path: '/p' is not allowed"},
      Case{"caches: {m: {path: ../p, key: k}}\n", "caches.m.path: '../p' is not allowed"},
      Case{"caches: {m: {path: ., key: k}}\n", "caches.m.path: '.' is not allowed"},
      Case{"caches: {m: {path: .git, key: k}}\n", "caches.m.path: '.git' is not allowed"},
      Case{"caches: {m: {path: .git/x, key: k}}\n", "caches.m.path: '.git/x' is not allowed"},
      Case{"caches: {m: {path: p, key: ../k}}\n", "caches.m.key: '../k' is not allowed"},
      Case{"caches: {m: {path: p, key: [k, ./k]}}\n", "caches.m.key: 'k' is there twice"},
      Case{"caches: {m: {path: p, key: k, kez: 1}}\n", "caches.m.kez: unknown key"},
      Case{"caches: {a: {path: p, key: k}, b: {path: p/q, key: k}}\n",
           "caches: a and b keep folders that are the same, or one inside the other"},
      Case{"caches: {m: {path: dist, key: k}}\n", "the product would hold what an earlier build"},
      Case{"caches: {m: {path: out, key: k}}\n", "platforms.alipay.output: lies in the folder"},
      Case{"caches: [npm]\n", "caches"}, Case{"caches: {npm: true, npm: true}\n", "npm"},
      Case{many, "caches: more than 16"}, Case{keys + "]}}\n", "caches.m.key: more than 16 files"});
  INFO(wrong.text);
  CHECK_THAT(ErrorOf(With(wrong.text)), Catch::Contains(wrong.says));
}

TEST_CASE("Caches: a folder below the product's is allowed", "[unit]") {
  CHECK_OK(ParseProjectConfig(With("caches: {m: {path: out/node_modules, key: k}}\n")));
  CHECK_OK(ParseProjectConfig(With("caches: {m: {path: .github, key: k}}\n")));
}

}  // namespace
}  // namespace slipway::project
