// Targets and environments through the real controller: who sees what, what a submit takes, and
// what is repeated or changed at once.
#include <catch2/catch.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/access.grpc.pb.h"
#include "slipway/v1/agent.pb.h"
#include "slipway/v1/session.grpc.pb.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

using absl::StatusCode;

constexpr char kPassword[] = "correct horse battery";
constexpr char kPem[] = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

// A unary call as whoever the context is of.
template <typename Stub, typename Request, typename Response>
absl::Status Call(Stub& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request, Response& response,
                  std::unique_ptr<grpc::ClientContext> context) {
  const grpc::Status status = (stub.*method)(context.get(), request, &response);
  return rpc::FromGrpc(*context, status);
}

struct Farm {
  using Catalog = v1::CatalogService::Stub;
  using Accounts = v1::AccountService::Stub;

  Farm() {
    fixture.Start();
    REQUIRE_OK(fixture.client().CreateApplication("shop"));
  }

  std::unique_ptr<grpc::ClientContext> As(const std::string& token = "") {
    if (token.empty()) return fixture.client().Context();
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    context->AddMetadata("authorization", "Bearer " + token);
    return context;
  }
  Catalog& catalog() { return fixture.client().catalog(); }

  static v1::Target Target(const std::string& name, const std::string& environment = "") {
    v1::Target target;
    target.set_platform("weixin");
    target.set_name(name);
    target.set_environment(environment);
    target.set_image("publisher:1");
    target.set_proxy("http://user:secret@proxy:3128");
    target.set_ca_pem(kPem);
    return target;
  }
  absl::Status Create(const std::string& environment, const std::string& token = "") {
    v1::CreateEnvironmentRequest request;
    v1::Environment response;
    request.mutable_environment()->set_name(environment);
    return Call(catalog(), &Catalog::CreateEnvironment, request, response, As(token));
  }
  absl::StatusOr<v1::Target> Create(const v1::Target& target, const std::string& request_id = "",
                                    const std::string& token = "") {
    v1::CreateTargetRequest request;
    v1::Target response;
    *request.mutable_target() = target;
    request.set_request_id(request_id);
    SLIPWAY_RETURN_IF_ERROR(Call(catalog(), &Catalog::CreateTarget, request, response, As(token)));
    return response;
  }
  absl::StatusOr<v1::Target> Update(const v1::Target& target, const std::string& token = "") {
    v1::UpdateTargetRequest request;
    v1::Target response;
    *request.mutable_target() = target;
    SLIPWAY_RETURN_IF_ERROR(Call(catalog(), &Catalog::UpdateTarget, request, response, As(token)));
    return response;
  }
  absl::Status Delete(const std::string& name, const std::string& etag = "") {
    v1::DeleteTargetRequest request;
    v1::DeleteTargetResponse response;
    request.set_platform("weixin");
    request.set_name(name);
    request.set_etag(etag);
    return Call(catalog(), &Catalog::DeleteTarget, request, response, As());
  }
  std::vector<v1::Target> List(const std::string& token = "") {
    v1::ListTargetsResponse response;
    REQUIRE_OK(
        Call(catalog(), &Catalog::ListTargets, v1::ListTargetsRequest(), response, As(token)));
    return {response.targets().begin(), response.targets().end()};
  }
  std::string Names(const std::string& token = "") {
    std::string names;
    for (const v1::Target& target : List(token)) names += target.name() + " ";
    return names;
  }
  std::string Environments(const std::string& token) {
    v1::ListEnvironmentsResponse response;
    REQUIRE_OK(Call(catalog(), &Catalog::ListEnvironments, v1::ListEnvironmentsRequest(), response,
                    As(token)));
    std::string names;
    for (const auto& environment : response.environments()) names += environment.name() + " ";
    return names;
  }

  // The token of a new account's login.
  std::string Add(const std::string& name, v1::AccountKind kind) {
    const auto accounts = v1::AccountService::NewStub(fixture.client().channel());
    v1::CreateAccountRequest request;
    v1::CreateAccountResponse made;
    request.set_name(name);
    request.set_kind(kind);
    request.set_password(kPassword);
    REQUIRE_OK(Call(*accounts, &Accounts::CreateAccount, request, made, As()));
    const auto sessions = v1::SessionService::NewStub(fixture.client().channel());
    v1::LoginRequest login;
    v1::LoginResponse response;
    login.set_account(name);
    login.set_password(kPassword);
    REQUIRE_OK(Call(*sessions, &v1::SessionService::Stub::Login, login, response, As()));
    return response.access_token();
  }
  void Give(const std::string& account, v1::Operation operation,
            const std::string& environment = "") {
    const auto accounts = v1::AccountService::NewStub(fixture.client().channel());
    v1::ChangeGrantsRequest request;
    v1::ChangeGrantsResponse response;
    v1::Grant& grant = *request.add_add();
    grant.set_account(account);
    grant.set_application("shop");
    grant.add_operations(operation);
    grant.set_environment(environment);
    REQUIRE_OK(Call(*accounts, &Accounts::ChangeGrants, request, response, As()));
  }

  FarmFixture fixture;
};

}  // namespace

TEST_CASE("Catalog: an account sees the targets it may publish to, without proxy and CA",
          "[integration]") {
  Farm farm;
  REQUIRE_OK(farm.Create("production"));
  REQUIRE_OK(farm.Create("test"));
  REQUIRE_OK(farm.Create(Farm::Target("live", "production")));
  REQUIRE_OK(farm.Create(Farm::Target("trial", "test")));
  CHECK(farm.Names() == "live trial weixin ");
  CHECK(farm.List()[0].proxy() == "http://user:secret@proxy:3128");
  CHECK(farm.List()[0].ca_pem() == kPem);

  const std::string mei = farm.Add("mei", v1::ACCOUNT_KIND_DEVELOPER);
  const std::string runner = farm.Add("runner", v1::ACCOUNT_KIND_OPERATOR);
  CHECK(farm.Names(mei).empty());
  CHECK(farm.Names(runner).empty());
  farm.Give("mei", v1::OPERATION_PACKAGE);
  CHECK(farm.Names(mei).empty());
  farm.Give("mei", v1::OPERATION_PREVIEW, "test");
  CHECK(farm.Names(mei) == "trial ");
  farm.Give("mei", v1::OPERATION_PUBLISH, "test");
  CHECK(farm.Names(mei) == "trial ");
  CHECK(farm.Environments(mei) == "test ");
  CHECK(farm.List(mei)[0].proxy().empty());
  CHECK(farm.List(mei)[0].ca_pem().empty());
  CHECK(farm.List(mei)[0].image() == "publisher:1");
  v1::GetTargetRequest get;
  v1::Target found;
  get.set_platform("weixin");
  get.set_name("trial");
  CHECK_OK(Call(farm.catalog(), &Farm::Catalog::GetTarget, get, found, farm.As(mei)));
  get.set_name("live");
  CHECK_THAT(Call(farm.catalog(), &Farm::Catalog::GetTarget, get, found, farm.As(mei)),
             StatusIs(StatusCode::kNotFound, "NO_SUCH_TARGET"));
  farm.Give("mei", v1::OPERATION_PUBLISH);
  CHECK(farm.Names(mei) == "live trial weixin ");
  CHECK(farm.Environments(mei) == "production test ");
}

TEST_CASE("Catalog: only admins change it; what is wrong is named by its field", "[integration]") {
  Farm farm;
  const std::string runner = farm.Add("runner", v1::ACCOUNT_KIND_OPERATOR);
  CHECK_THAT(farm.Create("test", runner), StatusIs(StatusCode::kPermissionDenied, "ADMIN_ONLY"));
  CHECK_THAT(farm.Create(Farm::Target("x"), "", runner).status(),
             StatusIs(StatusCode::kPermissionDenied, "ADMIN_ONLY"));
  CHECK_THAT(farm.Update(Farm::Target("weixin"), runner).status(),
             StatusIs(StatusCode::kPermissionDenied, "ADMIN_ONLY"));
  const auto bad = [&](const char* field, const std::function<void(v1::Target&)>& spoil) {
    v1::Target target = Farm::Target("x");
    spoil(target);
    INFO(field);
    CHECK_THAT(farm.Create(target).status(), StatusIs(StatusCode::kInvalidArgument, field));
  };
  bad("platform", [](v1::Target& t) { t.set_platform("Weixin"); });
  bad("name", [](v1::Target& t) { t.set_name("a/b"); });
  bad("image", [](v1::Target& t) { t.clear_image(); });
  bad("proxy", [](v1::Target& t) { t.set_proxy("proxy:3128"); });
  bad("ca_pem", [](v1::Target& t) { t.set_ca_pem("no"); });
  bad("ca_pem", [](v1::Target& t) {
    t.set_ca_pem(
        "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n");
  });
  bad("network", [](v1::Target& t) { t.set_network("lan"); });
  bad("deadline", [](v1::Target& t) { t.mutable_deadline()->set_seconds(9); });
  bad("requirements", [](v1::Target& t) { (*t.mutable_requirements())["a=b"] = "c"; });
  CHECK_THAT(farm.Create(Farm::Target("x", "nowhere")).status(),
             StatusIs(StatusCode::kNotFound, "NO_SUCH_ENVIRONMENT"));
  CHECK(farm.Names() == "weixin ");
}

TEST_CASE("Catalog: a submit knows a new target at once; one that is in use stays",
          "[integration]") {
  Farm farm;
  v1::SubmitRunRequest submit = SubmitOf("shop", true, "one");
  submit.set_target("trial");
  CHECK_THAT(farm.fixture.client().Submit(submit).status(),
             StatusIs(StatusCode::kFailedPrecondition, "NO_TARGET"));
  REQUIRE_OK(farm.Create(Farm::Target("trial")));
  const auto submitted = farm.fixture.client().Submit(submit);
  REQUIRE_OK(submitted);
  CHECK_THAT(farm.Delete("trial"), StatusIs(StatusCode::kFailedPrecondition, "TARGET_IN_USE"));
  v1::Target changed = Farm::Target("trial");
  changed.mutable_deadline()->set_seconds(30);
  CHECK_THAT(farm.Update(changed).status(),
             StatusIs(StatusCode::kFailedPrecondition, "TARGET_IN_USE"));
  changed.clear_deadline();
  changed.set_image("publisher:2");
  CHECK_OK(farm.Update(changed));
  REQUIRE_OK(farm.fixture.client().Cancel(submitted->tasks(0).id()));
  REQUIRE_OK(farm.fixture.client().Watch(submitted->run()));
  CHECK_OK(farm.Delete("trial"));
  submit.set_request_id("two");
  CHECK_THAT(farm.fixture.client().Submit(submit).status(),
             StatusIs(StatusCode::kFailedPrecondition, "NO_TARGET"));
}

TEST_CASE("Catalog: a change of what was changed meanwhile is refused by its etag",
          "[integration]") {
  Farm farm;
  const auto made = farm.Create(Farm::Target("trial"));
  REQUIRE_OK(made);
  v1::Target mine = *made;
  mine.set_image("publisher:2");
  const auto changed = farm.Update(mine);
  REQUIRE_OK(changed);
  CHECK(changed->etag() != made->etag());
  CHECK_THAT(farm.Update(mine).status(), StatusIs(StatusCode::kAborted, "ETAG_MISMATCH"));
  CHECK_THAT(farm.Delete("trial", made->etag()), StatusIs(StatusCode::kAborted, "ETAG_MISMATCH"));
  CHECK_THAT(farm.Delete("trial", "x"), StatusIs(StatusCode::kInvalidArgument, "etag"));
  CHECK_OK(farm.Delete("trial", changed->etag()));

  using Stub = v1::ApplicationService::Stub;
  const auto shop = farm.fixture.client().GetApplication("shop");
  REQUIRE_OK(shop);
  v1::UpdateApplicationRequest request;
  v1::Application response;
  request.set_name("shop");
  request.mutable_update_mask()->add_paths("description");
  request.set_description("new");
  request.set_etag(shop->etag());
  const auto update = [&] {
    return Call(farm.fixture.client().applications(), &Stub::UpdateApplication, request, response,
                farm.As());
  };
  CHECK_OK(update());
  CHECK(response.etag() != shop->etag());
  CHECK_THAT(update(), StatusIs(StatusCode::kAborted, "ETAG_MISMATCH"));
}

TEST_CASE("Catalog: a creation repeated after a restart answers what was made", "[integration]") {
  Farm farm;
  const auto made = farm.Create(Farm::Target("trial"), "one");
  REQUIRE_OK(made);
  v1::CreateApplicationRequest request;
  request.set_name("bakery");
  request.set_repository("https://git.example/bakery.git");
  request.set_request_id("two");
  const auto create = [&]() -> absl::StatusOr<v1::Application> {
    v1::Application response;
    SLIPWAY_RETURN_IF_ERROR(Call(farm.fixture.client().applications(),
                                 &v1::ApplicationService::Stub::CreateApplication, request,
                                 response, farm.As()));
    return response;
  };
  const auto bakery = create();
  REQUIRE_OK(bakery);
  farm.fixture.Stop();
  farm.fixture.Start();
  const auto again = farm.Create(Farm::Target("trial"), "one");
  REQUIRE_OK(again);
  CHECK(again->etag() == made->etag());
  CHECK_THAT(farm.Create(Farm::Target("other"), "one").status(),
             StatusIs(StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
  CHECK(create()->id() == bakery->id());
  request.set_description("bread");
  CHECK_THAT(create().status(), StatusIs(StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
  request.set_request_id("");
  CHECK_THAT(create().status(), StatusIs(StatusCode::kAlreadyExists, "APPLICATION_EXISTS"));
}

TEST_CASE("Catalog: an application's repository is changed by admins, not by who manages it",
          "[integration]") {
  Farm farm;
  const std::string mei = farm.Add("mei", v1::ACCOUNT_KIND_DEVELOPER);
  farm.Give("mei", v1::OPERATION_MANAGE);
  v1::UpdateApplicationRequest request;
  v1::Application response;
  request.set_name("shop");
  request.mutable_update_mask()->add_paths("repository");
  const auto update = [&](const std::string& repository, const std::string& token) {
    request.set_repository(repository);
    return Call(farm.fixture.client().applications(),
                &v1::ApplicationService::Stub::UpdateApplication, request, response,
                farm.As(token));
  };
  CHECK_THAT(update("https://git.example/mine.git", mei),
             StatusIs(StatusCode::kPermissionDenied, "ADMIN_ONLY"));
  CHECK_THAT(update("-upload-pack=x", ""),
             StatusIs(StatusCode::kInvalidArgument, "BAD_REPOSITORY"));
  CHECK(farm.fixture.client().GetApplication("shop")->repository() ==
        "https://git.example/shop.git");
  CHECK_OK(update("https://git.example/moved.git", ""));
  CHECK(response.repository() == "https://git.example/moved.git");
}

TEST_CASE("Catalog: a submit whose target goes between its question and its commit is refused",
          "[integration]") {
  Farm farm;
  REQUIRE_OK(farm.Create(Farm::Target("trial")));
  v1::SubmitRunRequest submit = SubmitOf("shop", true, "one");
  submit.set_target("trial");
  REQUIRE_OK(farm.fixture.client().Submit(submit));
  // Behind the controller's back, which is how a submit that is on its way meets it.
  REQUIRE_OK(
      RunSql(farm.fixture.options().database_url, "DELETE FROM targets WHERE name = 'trial'"));
  submit.set_request_id("two");
  CHECK_THAT(farm.fixture.client().Submit(submit).status(),
             StatusIs(StatusCode::kFailedPrecondition, "NO_TARGET"));
  // What was stored before is answered all the same.
  submit.set_request_id("one");
  CHECK_OK(farm.fixture.client().Submit(submit));
}

}  // namespace slipway::testing
