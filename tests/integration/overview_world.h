#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/access.grpc.pb.h"
#include "slipway/v1/catalog.grpc.pb.h"
#include "slipway/v1/overview.grpc.pb.h"
#include "slipway/v1/session.grpc.pb.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/git_fixture.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace slipway::testing {

inline constexpr char kPassword[] = "correct horse battery";
inline constexpr char kProject[] =
    "version: 1\nbuild: {image: alpine, run: make}\n"
    "platforms:\n  weixin: {app_id: wx1, output: dist}\n  web: {output: out}\n";

// A farm with targets in two environments, whose applications have real repositories.
struct OverviewWorld {
  explicit OverviewWorld(const std::function<void(controller::Options&)>& change = {},
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

}  // namespace slipway::testing
