// Creations of accounts and tokens that are asked for again, through the real controller.
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "slipway/v1/access.grpc.pb.h"
#include "slipway/v1/agent_admin.grpc.pb.h"
#include "slipway/v1/session.grpc.pb.h"
#include "tests/support/farm_fixture.h"
#include "tests/support/status_matchers.h"

namespace slipway::testing {
namespace {

using Accounts = v1::AccountService::Stub;
using Agents = v1::AgentAdminService::Stub;
using Sessions = v1::SessionService::Stub;

struct Farm {
  Farm() {
    fixture.Start();
    accounts = v1::AccountService::NewStub(fixture.client().channel());
    sessions = v1::SessionService::NewStub(fixture.client().channel());
  }
  template <typename Stub, typename Request, typename Response>
  absl::Status Call(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response) {
    const auto context = fixture.client().Context();
    const grpc::Status status = (stub.*method)(context.get(), request, &response);
    return rpc::FromGrpc(*context, status);
  }

  FarmFixture fixture;
  std::unique_ptr<Accounts> accounts;
  std::unique_ptr<Sessions> sessions;
};

}  // namespace

TEST_CASE("Repeats: an account is made once; a given password has to be the same",
          "[integration]") {
  Farm farm;
  v1::CreateAccountRequest request;
  request.set_name("mei");
  request.set_kind(v1::ACCOUNT_KIND_MEMBER);
  request.set_password("correct horse battery");
  request.set_request_id("one");
  const auto create = [&](v1::CreateAccountResponse& response) {
    return farm.Call(*farm.accounts, &Accounts::CreateAccount, request, response);
  };
  v1::CreateAccountResponse first;
  v1::CreateAccountResponse again;
  REQUIRE_OK(create(first));
  REQUIRE_OK(create(again));
  CHECK(again.SerializeAsString() == first.SerializeAsString());
  request.set_password("another good password");
  CHECK_THAT(create(again), StatusIs(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
  request.clear_password();
  CHECK_THAT(create(again), StatusIs(absl::StatusCode::kAlreadyExists, "SECRET_SHOWN_ONCE"));
  request.set_post("designer");
  CHECK_THAT(create(again), StatusIs(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
  request.set_request_id(std::string(129, 'x'));
  CHECK_THAT(create(again), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
  // A service account has no password that could be lost.
  request.set_name("robot");
  request.set_kind(v1::ACCOUNT_KIND_SERVICE);
  request.set_request_id("two");
  REQUIRE_OK(create(first));
  REQUIRE_OK(create(again));
  CHECK(again.account().id() == first.account().id());
}

TEST_CASE("Repeats: a token is made once and shown once", "[integration]") {
  Farm farm;
  v1::CreateApiTokenRequest request;
  request.set_name("ci");
  request.set_request_id("one");
  v1::CreateApiTokenResponse made;
  REQUIRE_OK(farm.Call(*farm.sessions, &Sessions::CreateApiToken, request, made));
  v1::CreateApiTokenResponse nothing;
  CHECK_THAT(farm.Call(*farm.sessions, &Sessions::CreateApiToken, request, nothing),
             StatusIs(absl::StatusCode::kAlreadyExists, "SECRET_SHOWN_ONCE"));
  CHECK(nothing.secret().empty());
  v1::CreateJoinTokenRequest join;
  join.set_request_id("one");
  v1::CreateJoinTokenResponse joined;
  Agents& agents = farm.fixture.client().agents();
  CHECK_THAT(farm.Call(agents, &Agents::CreateJoinToken, join, joined),
             StatusIs(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"));
  join.set_request_id("two");
  REQUIRE_OK(farm.Call(agents, &Agents::CreateJoinToken, join, joined));
  CHECK_THAT(farm.Call(agents, &Agents::CreateJoinToken, join, joined),
             StatusIs(absl::StatusCode::kAlreadyExists, "SECRET_SHOWN_ONCE"));
}

TEST_CASE("Repeats: lists of tokens and groups come in pages and say how many there are",
          "[integration]") {
  Farm farm;
  for (int i = 0; i < 3; ++i) {
    v1::CreateJoinTokenResponse token;
    REQUIRE_OK(farm.Call(farm.fixture.client().agents(), &Agents::CreateJoinToken,
                         v1::CreateJoinTokenRequest(), token));
    v1::CreateApiTokenRequest request;
    request.set_name("ci");
    v1::CreateApiTokenResponse made;
    REQUIRE_OK(farm.Call(*farm.sessions, &Sessions::CreateApiToken, request, made));
    v1::PutGroupRequest put;
    put.mutable_group()->set_name("group " + std::to_string(i));
    v1::AccountGroup group;
    REQUIRE_OK(farm.Call(*farm.accounts, &Accounts::PutGroup, put, group));
  }
  const auto walk = [&](auto& stub, auto method, auto request, auto response, auto size_of) {
    std::int64_t met = 0;
    request.set_page_size(2);
    do {
      REQUIRE_OK(farm.Call(stub, method, request, response));
      CHECK(size_of(response) <= 2);
      met += size_of(response);
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty());
    CHECK(met == response.total());
    request.set_page_size(1001);
    CHECK_THAT(farm.Call(stub, method, request, response),
               StatusIs(absl::StatusCode::kInvalidArgument, "BAD_FIELD"));
    return met;
  };
  CHECK(walk(farm.fixture.client().agents(), &Agents::ListJoinTokens, v1::ListJoinTokensRequest(),
             v1::ListJoinTokensResponse(), [](const auto& r) { return r.tokens_size(); }) == 3);
  // With the one of admin.token.
  CHECK(walk(*farm.sessions, &Sessions::ListApiTokens, v1::ListApiTokensRequest(),
             v1::ListApiTokensResponse(), [](const auto& r) { return r.tokens_size(); }) == 4);
  CHECK(walk(*farm.accounts, &Accounts::ListGroups, v1::ListGroupsRequest(),
             v1::ListGroupsResponse(), [](const auto& r) { return r.groups_size(); }) == 3);
}

}  // namespace slipway::testing
