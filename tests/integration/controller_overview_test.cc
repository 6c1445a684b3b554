#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/rpc/grpc_status.h"
#include "common/status/remedies.h"
#include "common/status/status.h"
#include "slipway/v1/access.grpc.pb.h"
#include "slipway/v1/catalog.grpc.pb.h"
#include "slipway/v1/overview.grpc.pb.h"
#include "slipway/v1/session.grpc.pb.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/git_fixture.h"
#include "tests/support/silent_server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {
namespace {

constexpr char kPassword[] = "correct horse battery";
constexpr char kProject[] =
    "version: 1\nbuild: {image: alpine, run: make}\n"
    "platforms:\n  weixin: {app_id: wx1, output: dist}\n  web: {output: out}\n";

// A farm with targets in two environments, whose applications have real repositories.
struct Farm {
  explicit Farm(const std::function<void(controller::Options&)>& change = {},
                const std::string& platform = "weixin") {
    farm.options().allow_local_repositories = true;
    if (change) change(farm.options());
    farm.Start();
    overviews = v1::OverviewService::NewStub(farm.client().channel());
    accounts = v1::AccountService::NewStub(farm.client().channel());
    sessions = v1::SessionService::NewStub(farm.client().channel());
    const auto catalog = v1::CatalogService::NewStub(farm.client().channel());
    v1::DeleteTargetRequest old;
    old.set_platform("weixin");
    old.set_name("weixin");
    v1::DeleteTargetResponse gone;
    REQUIRE(catalog->DeleteTarget(farm.client().Context().get(), old, &gone).ok());
    for (const auto& [name, environment] :
         {std::pair("weixin", "production"), {"weixin-test", "test"}}) {
      v1::CreateEnvironmentRequest request;
      request.mutable_environment()->set_name(environment);
      v1::Environment made;
      REQUIRE(catalog->CreateEnvironment(farm.client().Context().get(), request, &made).ok());
      v1::Target target;
      target.set_platform(platform);
      target.set_name(name);
      target.set_environment(environment);
      target.set_image("slipway/publisher:1");
      REQUIRE_OK(farm.client().CreateTarget(target));
    }
  }

  void AddApplication(const std::string& name, const std::string& repository) {
    v1::CreateApplicationRequest request;
    request.set_name(name);
    request.set_repository(repository);
    v1::Application application;
    const auto context = farm.client().Context();
    REQUIRE(
        farm.client().applications().CreateApplication(context.get(), request, &application).ok());
  }
  void AddPerson(const std::string& name, v1::AccountKind kind) {
    v1::CreateAccountRequest request;
    request.set_name(name);
    request.set_kind(kind);
    request.set_password(kPassword);
    v1::CreateAccountResponse response;
    const auto context = farm.client().Context();
    REQUIRE(accounts->CreateAccount(context.get(), request, &response).ok());
  }
  void Grant(const std::string& name, const std::string& application,
             const std::vector<v1::Operation>& operations, const std::string& environment = "") {
    v1::ChangeGrantsRequest request;
    v1::Grant& grant = *request.add_add();
    grant.set_account(name);
    grant.set_application(application);
    grant.set_environment(environment);
    for (const v1::Operation operation : operations) grant.add_operations(operation);
    v1::ChangeGrantsResponse response;
    const auto context = farm.client().Context();
    REQUIRE(accounts->ChangeGrants(context.get(), request, &response).ok());
  }
  std::unique_ptr<grpc::ClientContext> As(const std::string& name) {
    v1::LoginRequest request;
    request.set_account(name);
    request.set_password(kPassword);
    v1::LoginResponse response;
    grpc::ClientContext context;
    REQUIRE(sessions->Login(&context, request, &response).ok());
    auto own = std::make_unique<grpc::ClientContext>();
    own->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    own->AddMetadata("authorization", "Bearer " + response.access_token());
    return own;
  }

  absl::StatusOr<v1::ListVersionsResponse> List(const v1::ListVersionsRequest& request) {
    const auto context = farm.client().Context();
    v1::ListVersionsResponse response;
    const grpc::Status status = overviews->ListVersions(context.get(), request, &response);
    if (!status.ok()) return rpc::FromGrpc(*context, status);
    return response;
  }
  v1::ListVersionsResponse ListOf(const std::string& application) {
    v1::ListVersionsRequest request;
    request.set_application(application);
    auto response = List(request);
    REQUIRE_OK(response);
    return *response;
  }
  v1::Overview OverviewAs(std::unique_ptr<grpc::ClientContext> context) {
    v1::Overview overview;
    REQUIRE(overviews->GetOverview(context.get(), {}, &overview).ok());
    return overview;
  }

  TempDir temp;
  GitFixture git{temp.path() + "/origin"};
  FarmFixture farm;
  std::unique_ptr<v1::OverviewService::Stub> overviews;
  std::unique_ptr<v1::AccountService::Stub> accounts;
  std::unique_ptr<v1::SessionService::Stub> sessions;
};

std::vector<std::string> NamesOf(const v1::ListVersionsResponse& response) {
  std::vector<std::string> names;
  for (const v1::Version& version : response.versions()) names.push_back(version.name());
  return names;
}

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

TEST_CASE("Versions: versions of a repository, with what is built of them", "[integration]") {
  Farm f;
  f.git.Write("slipway.yaml", kProject);
  const std::string commit = f.git.Commit("first\n\nwith a body");
  f.git.Git({"tag", "v1"});
  f.AddApplication("shop", f.git.path());

  FakeAgent agent(f.farm.Join("builder"), 2);
  REQUIRE(agent.Reconnect());
  const auto submitted = f.farm.client().Submit(SubmitOf("shop", false));
  REQUIRE_OK(submitted);
  const auto start = agent.WaitStart();
  REQUIRE(start);
  REQUIRE_OK(agent.AppendLog(start->key, "a log\n"));
  WriteFile(f.temp.path() + "/product/index.html", "hello\n");
  const auto uploaded = agent.Upload(start->key, f.temp.path() + "/product");
  REQUIRE_OK(uploaded);
  protocol::AttemptResult result = BuildResult("a log\n", uploaded->manifest);
  result.build->commit = commit;
  REQUIRE(agent.Report(start->key, result));
  REQUIRE_OK(f.farm.client().Watch(submitted->run()));

  const auto listed = f.ListOf("shop");
  CHECK(NamesOf(listed) == std::vector<std::string>{"v1", "main"});
  CHECK(listed.total() == 2);
  CHECK(listed.repository().has_fetched_at());
  CHECK_FALSE(listed.repository().has_problem());
  const v1::Version& tag = listed.versions(0);
  CHECK(tag.kind() == v1::VERSION_KIND_TAG);
  CHECK(tag.commit() == commit);
  CHECK(tag.subject() == "first");
  CHECK(tag.message() == "first\n\nwith a body");
  CHECK(tag.author() == "A");
  CHECK_FALSE(tag.is_default());
  CHECK(listed.versions(1).is_default());
  REQUIRE(tag.built_size() == 1);
  CHECK(tag.built(0).platform() == "weixin");
  CHECK(tag.built(0).task() == submitted->tasks(0).id());
  CHECK(tag.built(0).run() == submitted->run());
  CHECK(tag.built(0).version() == "1.2.3");

  f.git.Commit("second");
  const auto overview = f.OverviewAs(f.farm.client().Context());
  REQUIRE(overview.applications_size() == 1);
  REQUIRE(overview.applications(0).versions_size() > 0);
  CHECK(overview.applications(0).versions(0).built(0).task() == submitted->tasks(0).id());
}

TEST_CASE("Versions: versions are filtered by kind and text, and come in pages", "[integration]") {
  Farm f;
  f.git.Commit("Fix the Cart");
  for (const char* tag : {"v1", "v2", "v3"}) f.git.Git({"tag", tag});
  f.git.Git({"branch", "feature/login"});
  f.AddApplication("shop", f.git.path());

  v1::ListVersionsRequest request;
  request.set_application("shop");
  request.set_kind(v1::VERSION_KIND_BRANCH);
  CHECK(NamesOf(*f.List(request)) == std::vector<std::string>{"feature/login", "main"});
  request.set_match("LOGIN");
  CHECK(NamesOf(*f.List(request)) == std::vector<std::string>{"feature/login"});
  request.set_match("the cart");
  CHECK(f.List(request)->total() == 2);

  request = {};
  request.set_application("shop");
  request.set_page_size(2);
  std::vector<std::string> seen;
  for (int page = 0; page < 3; ++page) {
    const auto listed = f.List(request);
    REQUIRE_OK(listed);
    CHECK(listed->total() == 5);
    for (const std::string& name : NamesOf(*listed)) seen.push_back(name);
    CHECK(listed->next_page_token().empty() == (page == 2));
    request.set_page_token(listed->next_page_token());
  }
  CHECK(seen == std::vector<std::string>{"v1", "v2", "v3", "feature/login", "main"});
  for (const char* token : {"x", "1.t", "1.x.00", "1.t.0", "1.t.zz", "99999999999999999999.t.00",
                            "9223372036854775807.t.00"}) {
    request.set_page_token(token);
    CHECK_THAT(f.List(request).status(),
               StatusIs(absl::StatusCode::kInvalidArgument, "BAD_PAGE_TOKEN"));
  }
  request = {};
  request.set_application("nope");
  CHECK_THAT(f.List(request).status(),
             StatusIs(absl::StatusCode::kNotFound, "NO_SUCH_APPLICATION"));
  request.set_application("shop");
  request.set_page_size(1001);
  CHECK_THAT(f.List(request).status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
}

TEST_CASE("Versions: hostile names and messages come as text that does nothing", "[integration]") {
  Farm f;
  f.git.Commit("pay\xE2\x80\xAEload \x1b[2J \xE2\x80\x8B done");
  f.git.Git({"branch",
             "good\xE2\x80\xAE"
             "gpj.exe"});
  f.git.Git({"branch", "latin-\xff"});
  f.AddApplication("shop", f.git.path());
  const auto listed = f.ListOf("shop");
  CHECK(NamesOf(listed) == std::vector<std::string>{"good?gpj.exe", "latin-?", "main"});
  CHECK(listed.versions(0).subject() == "pay?load ?[2J ? done");
}

TEST_CASE("Versions: a repository that cannot be reached is told, with what is known of it",
          "[integration]") {
  Farm f;
  const std::string commit = f.git.Commit("first");
  f.AddApplication("shop", f.git.path());
  f.AddApplication("lost", f.temp.path() + "/nowhere");
  const auto lost = f.ListOf("lost");
  CHECK(lost.versions().empty());
  CHECK_FALSE(lost.repository().has_fetched_at());
  const absl::Status problem = rpc::FromCallError(lost.repository().problem());
  CHECK_THAT(problem, StatusIs(absl::StatusCode::kUnavailable, "REPOSITORY_UNREACHABLE"));
  CHECK_FALSE(GetRemedyZh(problem).empty());

  REQUIRE(f.ListOf("shop").versions_size() == 1);
  std::filesystem::rename(f.git.path(), f.git.path() + ".away");
  f.farm.Stop();
  f.farm.Start();
  f.overviews = v1::OverviewService::NewStub(f.farm.client().channel());
  const auto stale = f.ListOf("shop");
  REQUIRE(stale.versions_size() == 1);
  CHECK(stale.versions(0).commit() == commit);
  CHECK(stale.repository().has_fetched_at());
  CHECK(stale.repository().has_problem());
}

TEST_CASE("Versions: many calls for one repository are all answered", "[integration]") {
  Farm f;
  f.git.Commit("first");
  f.AddApplication("shop", f.git.path());
  constexpr int kCalls = 200;
  struct Call {
    std::unique_ptr<grpc::ClientContext> context;
    v1::ListVersionsRequest request;
    v1::ListVersionsResponse response;
  };
  std::vector<Call> calls(kCalls);
  std::atomic<int> good = 0;
  std::atomic<int> answered = 0;
  for (Call& call : calls) {
    call.context = f.farm.client().Context();
    call.request.set_application("shop");
    f.overviews->async()->ListVersions(call.context.get(), &call.request, &call.response,
                                       [&](const grpc::Status& status) {
                                         if (status.ok() && call.response.versions_size() == 1)
                                           ++good;
                                         ++answered;
                                       });
  }
  REQUIRE(WaitUntil([&] { return answered == kCalls; }));
  CHECK(good == kCalls);
}

TEST_CASE("Versions: who leaves while a repository is read leaves nothing behind",
          "[integration]") {
  SilentServer silent;
  Farm f([](controller::Options& options) {
    options.repositories.mirrors.allowed_schemes.insert("http");
  });
  f.AddApplication("slow", silent.url());
  auto context = f.farm.client().Context();
  v1::ListVersionsRequest request;
  request.set_application("slow");
  v1::ListVersionsResponse response;
  std::atomic<bool> ended = false;
  f.overviews->async()->ListVersions(context.get(), &request, &response,
                                     [&](const grpc::Status&) { ended = true; });
  REQUIRE(WaitUntil([&] {
    const auto overview = f.OverviewAs(f.farm.client().Context());
    return overview.applications(0).repository().fetching();
  }));
  context->TryCancel();
  REQUIRE(WaitUntil([&] { return ended.load(); }));
  f.farm.Stop();
}

TEST_CASE("Overview: two people see different farms, and nothing that they may not do",
          "[integration]") {
  Farm f;
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

TEST_CASE("Overview: what is held but leads nowhere now says why", "[integration]") {
  Farm f({}, "alipay");
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
  CHECK(reason(Find(shop, v1::OPERATION_RUN_SCRIPT)) == "NOT_OFFERED");
  CHECK_FALSE(Find(shop, v1::OPERATION_MANAGE)->has_blocked());
  CHECK(reason(Find(lost, v1::OPERATION_PACKAGE)) == "REPOSITORY_UNREACHABLE");
  CHECK(Find(shop, "target") == nullptr);
}

TEST_CASE("Overview: a server that never answers keeps nobody waiting", "[integration]") {
  SilentServer silent;
  Farm f([](controller::Options& options) {
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
  Farm f;
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
