#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "slipway/v1/access.grpc.pb.h"
#include "slipway/v1/session.grpc.pb.h"

namespace slipway::testing {

// Who may use the fake farm; outlives restarts of the server. Its tokens have no secrets in them:
// "access-3" and "refresh-3" are the third pair.
struct FakeAccess {
  struct Account {
    v1::Account account;
    std::string password;
  };
  struct Login {
    v1::Login login;
    std::string account;
    std::string access;
    std::string refresh;
  };

  // Adds an account that may log in.
  void Add(const std::string& name, const std::string& password,
           v1::AccountKind kind = v1::ACCOUNT_KIND_ADMIN);

  std::mutex mu;
  // Guarded by mu.
  std::map<std::string, Account> accounts;
  std::map<std::string, Login> logins;         // by id
  std::map<std::string, std::string> spent;    // refresh tokens that were used → login
  std::map<std::string, v1::ApiToken> tokens;  // by secret
  std::map<std::string, v1::AccountGroup> groups;
  std::vector<v1::Grant> grants;
  int access_seconds = 300;  // how long access tokens last, as their answer says
  int pairs = 0;
  int lost_tokens = 0;     // so many are made, and then answered UNAVAILABLE
  int lost_refreshes = 0;  // so many are answered UNAVAILABLE before they take effect
  int changed_groups = 0;  // so many PutGroup are answered ABORTED
  // What was asked.
  int refreshes = 0;
  int thefts = 0;  // spent refresh tokens that came back
  std::vector<v1::LoginRequest> login_requests;
  std::vector<v1::UpdateAccountRequest> updates;
  std::vector<v1::CreateApiTokenRequest> token_requests;
  std::vector<v1::ChangeGrantsRequest> grant_changes;
};

// Services with the contracts of access.proto, as far as clients see them.
[[nodiscard]] std::unique_ptr<grpc::Service> MakeFakeSessions(FakeAccess& access);
[[nodiscard]] std::unique_ptr<grpc::Service> MakeFakeAccounts(FakeAccess& access);

// The account whose token the call carries; empty: of nobody.
[[nodiscard]] std::string CallerOf(FakeAccess& access, const grpc::ServerContext& context);

}  // namespace slipway::testing
