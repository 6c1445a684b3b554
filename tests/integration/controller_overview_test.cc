#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "common/status/remedies.h"
#include "tests/integration/overview_world.h"
#include "tests/support/silent_server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

const v1::AllowedAction* Find(const v1::ApplicationOverview& application, v1::Operation operation,
                              const std::string& environment = "") {
  for (const v1::AllowedAction& action : application.allowed_actions()) {
    if (action.operation() == operation && action.environment() == environment) return &action;
  }
  return nullptr;
}

const v1::SubmitParameter* Find(const v1::ApplicationOverview& application,
                                const std::string& field) {
  for (const v1::SubmitParameter& parameter : application.parameters()) {
    if (parameter.field() == field) return &parameter;
  }
  return nullptr;
}

TEST_CASE("Overview: two people see different farms, and nothing that they may not do",
          "[integration]") {
  OverviewWorld f;
  f.git.Write("slipway.yaml", kProject);
  f.git.Commit("first");
  for (const char* name : {"cafe", "shop", "secret"}) f.AddApplication(name, f.git.path());
  f.AddPerson("dev", v1::ACCOUNT_KIND_DEVELOPER);
  f.AddPerson("pm", v1::ACCOUNT_KIND_MEMBER);
  f.AddPerson("new", v1::ACCOUNT_KIND_MEMBER);
  f.Grant("dev", "shop", {v1::OPERATION_RUN_SCRIPT, v1::OPERATION_PACKAGE, v1::OPERATION_PUBLISH});
  f.Grant("dev", "cafe", {v1::OPERATION_VIEW});
  f.Grant("pm", "shop", {v1::OPERATION_PACKAGE});
  f.Grant("pm", "shop", {v1::OPERATION_PREVIEW, v1::OPERATION_PUBLISH}, "test");
  FakeAgent agent(f.farm.Join("builder"), 2);
  REQUIRE(agent.Reconnect());
  REQUIRE(f.ListOf("shop").versions_size() == 1);

  const auto dev = f.OverviewAs(f.As("dev"));
  CHECK(dev.account().name() == "dev");
  CHECK(dev.farm() == f.farm.client().GetFarm()->id());
  CHECK(dev.total() == 2);
  REQUIRE(dev.applications_size() == 2);
  CHECK(dev.applications(0).name() == "cafe");
  CHECK(dev.applications(0).allowed_actions_size() == 1);
  CHECK(dev.applications(0).parameters().empty());
  const v1::ApplicationOverview& its = dev.applications(1);
  CHECK(its.name() == "shop");
  CHECK(its.versions_size() == 1);
  REQUIRE(its.platforms_size() == 2);
  CHECK(its.platforms(0).app_id() == "wx1");
  REQUIRE(Find(its, v1::OPERATION_PACKAGE) != nullptr);
  CHECK_FALSE(Find(its, v1::OPERATION_PACKAGE)->has_blocked());
  const v1::AllowedAction* production = Find(its, v1::OPERATION_PUBLISH, "production");
  REQUIRE(production != nullptr);
  CHECK_FALSE(production->has_blocked());
  REQUIRE(production->targets_size() == 1);
  CHECK(production->targets(0).name() == "weixin");
  CHECK(production->targets(0).is_default());
  CHECK(Find(its, v1::OPERATION_PUBLISH, "test") != nullptr);
  CHECK(Find(its, v1::OPERATION_RUN_SCRIPT) != nullptr);
  REQUIRE(Find(its, "ref") != nullptr);
  CHECK(Find(its, "ref")->defaults(0) == "main");
  REQUIRE(Find(its, "platforms") != nullptr);
  CHECK(Find(its, "platforms")->required());
  CHECK(Find(its, "platforms")->choices_size() == 2);
  REQUIRE(Find(its, "target") != nullptr);
  CHECK(Find(its, "target")->choices_size() == 2);

  const auto pm = f.OverviewAs(f.As("pm"));
  REQUIRE(pm.applications_size() == 1);
  const v1::ApplicationOverview& theirs = pm.applications(0);
  CHECK(Find(theirs, v1::OPERATION_RUN_SCRIPT) == nullptr);
  CHECK(Find(theirs, v1::OPERATION_PUBLISH, "production") == nullptr);
  const v1::AllowedAction* test = Find(theirs, v1::OPERATION_PUBLISH, "test");
  REQUIRE(test != nullptr);
  REQUIRE(test->targets_size() == 1);
  CHECK(test->targets(0).name() == "weixin-test");
  CHECK_FALSE(test->targets(0).is_default());
  CHECK(Find(theirs, "target")->choices_size() == 1);
  const v1::AllowedAction* preview = Find(theirs, v1::OPERATION_PREVIEW, "test");
  REQUIRE(preview != nullptr);
  CHECK_FALSE(preview->has_blocked());
  CHECK(preview->targets_size() == 1);
  CHECK(Find(theirs, "preview") != nullptr);
  CHECK(Find(its, v1::OPERATION_PREVIEW) == nullptr);
  CHECK(Find(its, "preview") == nullptr);
  CHECK(pm.DebugString().find("secret") == std::string::npos);
  CHECK(pm.DebugString().find("production") == std::string::npos);

  const auto stranger = f.OverviewAs(f.As("new"));
  CHECK(stranger.total() == 0);
  CHECK(stranger.applications().empty());
  CHECK(stranger.account().name() == "new");

  for (const char* name : {"secret", "nope"}) {
    v1::GetOverviewRequest request;
    request.set_application(name);
    v1::Overview overview;
    REQUIRE(f.overviews->GetOverview(f.As("pm").get(), request, &overview).ok());
    CHECK(overview.applications().empty());
    CHECK(overview.total() == 0);
  }
}

TEST_CASE("Overview: who may build is told what a build can be told, and nobody else",
          "[integration]") {
  OverviewWorld f;
  f.git.Write("slipway.yaml", std::string(kProject) + R"(parameters:
  entry:
    type: choice
    choices: [src/main.js, src/kiosk.js]
    default: src/main.js
    label: {en: Program entry, zh: 程序入口}
    help: What starts
  minify: {type: bool, default: true}
  banner: {type: text, pattern: '[a-z]*', max_bytes: 40, default: hi}
  theme: {type: file, under: themes, default: themes/red.json}
)");
  f.git.Write("themes/red.json", "{}");
  f.git.Write("themes/blue.json", "{}");
  f.git.Commit("first");
  f.AddApplication("shop", f.git.path());
  f.AddPerson("pm", v1::ACCOUNT_KIND_MEMBER);
  f.AddPerson("guest", v1::ACCOUNT_KIND_MEMBER);
  f.Grant("pm", "shop", {v1::OPERATION_PACKAGE});
  f.Grant("guest", "shop", {v1::OPERATION_VIEW});
  REQUIRE(f.ListOf("shop").versions_size() == 1);

  const auto guest = f.OverviewAs(f.As("guest"));
  REQUIRE(guest.applications_size() == 1);
  CHECK(guest.applications(0).build_parameters().empty());
  const auto overview = f.OverviewAs(f.As("pm"));
  REQUIRE(overview.applications_size() == 1);
  const auto& told = overview.applications(0).build_parameters();
  REQUIRE(told.size() == 4);
  CHECK(told[0].name() == "entry");
  CHECK(told[0].type() == v1::BUILD_PARAMETER_TYPE_CHOICE);
  CHECK(told[0].choices_size() == 2);
  CHECK(told[0].default_value() == "src/main.js");
  CHECK(told[0].label().en() == "Program entry");
  CHECK(told[0].label().zh() == "程序入口");
  CHECK(told[0].help().zh() == "What starts");
  CHECK(told[1].type() == v1::BUILD_PARAMETER_TYPE_BOOL);
  CHECK(told[1].default_value() == "true");
  CHECK(told[2].pattern() == "[a-z]*");
  CHECK(told[2].max_bytes() == 40);
  CHECK(told[3].type() == v1::BUILD_PARAMETER_TYPE_FILE);
  CHECK(told[3].under() == "themes");
  CHECK(std::vector<std::string>(told[3].choices().begin(), told[3].choices().end()) ==
        std::vector<std::string>{"themes/blue.json", "themes/red.json"});
}

TEST_CASE("Overview: what is held but leads nowhere now says why", "[integration]") {
  OverviewWorld f({}, "alipay");
  f.git.Write("slipway.yaml", kProject);
  f.git.Commit("first");
  f.AddApplication("shop", f.git.path());
  f.AddApplication("lost", f.temp.path() + "/nowhere");
  REQUIRE(f.ListOf("shop").versions_size() == 1);
  REQUIRE(f.ListOf("lost").repository().has_problem());
  const auto reason = [](const v1::AllowedAction* action) {
    REQUIRE(action != nullptr);
    return GetErrorInfo(rpc::FromCallError(action->blocked())).reason;
  };
  const auto overview = f.OverviewAs(f.farm.client().Context());
  REQUIRE(overview.applications_size() == 2);
  const v1::ApplicationOverview& lost = overview.applications(0);
  const v1::ApplicationOverview& shop = overview.applications(1);
  CHECK(reason(Find(shop, v1::OPERATION_PACKAGE)) == "NO_AGENT_READY");
  CHECK(reason(Find(shop, v1::OPERATION_PUBLISH)) == "NO_TARGET");
  CHECK(reason(Find(shop, v1::OPERATION_PREVIEW)) == "NO_TARGET");
  CHECK(reason(Find(shop, v1::OPERATION_RUN_SCRIPT)) == "NO_AGENT_READY");
  CHECK_FALSE(Find(shop, v1::OPERATION_MANAGE)->has_blocked());
  CHECK(reason(Find(lost, v1::OPERATION_PACKAGE)) == "REPOSITORY_UNREACHABLE");
  CHECK(Find(shop, "target") == nullptr);
}

TEST_CASE("Overview: a server that never answers keeps nobody waiting", "[integration]") {
  SilentServer silent;
  OverviewWorld f([](controller::Options& options) {
    options.repositories.mirrors.allowed_schemes.insert("http");
    options.repositories.mirrors.fetch_timeout = std::chrono::hours(1);
  });
  f.git.Commit("first");
  f.AddApplication("slow", silent.url());
  f.AddApplication("shop", f.git.path());
  REQUIRE(WaitUntil([&] {
    const auto overview = f.OverviewAs(f.farm.client().Context());
    REQUIRE(overview.applications_size() == 2);
    CHECK(overview.applications(1).repository().fetching());
    CHECK_FALSE(overview.applications(1).repository().has_fetched_at());
    return overview.applications(0).versions_size() == 1;
  }));
  // Who wants the newest waits for a while and is answered then.
  CHECK(f.ListOf("slow").repository().fetching());
}

TEST_CASE("Overview: how repositories are read is the operator's word", "[integration]") {
  const TempDir dir;
  const std::string path = dir / "controller.yaml";
  WriteFile(
      path,
      "git:\n  fetch_timeout: 30s\n  allow_http: true\n  environment: {https_proxy: \"p:1\"}\n"
      "  max_fetches: 7\n  max_mirrors: 3\n  max_size: 1GiB\n  refresh_after: 5m\n");
  const auto options = controller::LoadOptions(path);
  REQUIRE_OK(options);
  const catalog::VersionReaderOptions& reading = options->repositories;
  CHECK(reading.mirrors.fetch_timeout == std::chrono::seconds(30));
  CHECK(reading.mirrors.allowed_schemes.contains("http"));
  CHECK_FALSE(reading.mirrors.allowed_schemes.contains("file"));
  CHECK(reading.mirrors.environment.at("https_proxy") == "p:1");
  CHECK(reading.max_fetches == 7);
  CHECK(reading.max_mirrors == 3);
  CHECK(reading.max_bytes == std::int64_t{1} << 30);
  CHECK(reading.refresh_after == std::chrono::minutes(5));
  for (const char* wrong : {"max_fetches: 0", "max_size: 1", "fetch_timeout: 0s", "depth: 1"}) {
    WriteFile(path, std::string("git:\n  ") + wrong + "\n");
    INFO(wrong);
    CHECK_THAT(controller::LoadOptions(path).status(),
               StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST_CASE("Overview: pages follow each other", "[integration]") {
  OverviewWorld f;
  f.git.Commit("first");
  for (const char* name : {"a", "b", "c"}) f.AddApplication(name, f.git.path());
  v1::GetOverviewRequest request;
  request.set_page_size(2);
  std::vector<std::string> names;
  do {
    v1::Overview overview;
    const auto context = f.farm.client().Context();
    REQUIRE(f.overviews->GetOverview(context.get(), request, &overview).ok());
    CHECK(overview.total() == 3);
    for (const auto& application : overview.applications()) names.push_back(application.name());
    request.set_page_token(overview.next_page_token());
  } while (!request.page_token().empty());
  CHECK(names == std::vector<std::string>{"a", "b", "c"});
}

}  // namespace
}  // namespace slipway::testing
