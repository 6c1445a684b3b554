#include "tests/unit/cli_fake_access.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>

#include "common/base/time.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"

namespace slipway::testing {
namespace {

using grpc::ServerContext;

grpc::Status Refuse(ServerContext& context, absl::StatusCode code, const char* reason,
                    const char* message) {
  return rpc::ToGrpc(context, MakeError(code, reason, message));
}

grpc::Status Stranger(ServerContext& context) {
  return Refuse(context, absl::StatusCode::kUnauthenticated, "BAD_TOKEN", "who are you?");
}

// Pages of one object each, so that clients have to walk.
template <typename Entries, typename Request, typename Response, typename Add>
void AnswerPage(const Entries& entries, const Request& request, Response& response,
                const Add& add) {
  auto it = entries.upper_bound(request.page_token());
  response.set_total(static_cast<std::int64_t>(entries.size()));
  if (it == entries.end()) return;
  const std::string key = it->first;
  add(it->second);
  if (++it != entries.end()) response.set_next_page_token(key);
}

std::string TokenOf(const ServerContext& context) {
  constexpr std::string_view kScheme = "Bearer ";
  const auto it = context.client_metadata().find("authorization");
  if (it == context.client_metadata().end()) return "";
  return std::string(it->second.data(), it->second.size()).substr(kScheme.size());
}

class Sessions final : public v1::SessionService::Service {
 public:
  explicit Sessions(FakeAccess& access) : access_(access) {}

  grpc::Status Login(ServerContext* context, const v1::LoginRequest* request,
                     v1::LoginResponse* response) override {
    const std::lock_guard lock(access_.mu);
    access_.login_requests.push_back(*request);
    const auto it = access_.accounts.find(request->account());
    if (it == access_.accounts.end() || it->second.password != request->password()) {
      return Refuse(*context, absl::StatusCode::kUnauthenticated, "BAD_LOGIN",
                    "no such account, or a wrong password");
    }
    FakeAccess::Login& login = access_.logins[fmt::format("login-{}", access_.pairs + 1)];
    login.login.set_id(fmt::format("login-{}", access_.pairs + 1));
    login.login.set_client(request->client());
    login.account = request->account();
    Give(login, *response);
    return grpc::Status::OK;
  }

  grpc::Status Refresh(ServerContext* context, const v1::RefreshRequest* request,
                       v1::LoginResponse* response) override {
    const std::lock_guard lock(access_.mu);
    if (access_.lost_refreshes > 0) {
      --access_.lost_refreshes;
      return {grpc::StatusCode::UNAVAILABLE, "lost"};
    }
    ++access_.refreshes;
    if (const auto spent = access_.spent.find(request->refresh_token());
        spent != access_.spent.end()) {
      ++access_.thefts;
      access_.logins.erase(spent->second);
    }
    for (auto& [id, login] : access_.logins) {
      if (login.refresh != request->refresh_token()) continue;
      access_.spent[login.refresh] = id;
      Give(login, *response);
      return grpc::Status::OK;
    }
    return Refuse(*context, absl::StatusCode::kUnauthenticated, "BAD_REFRESH",
                  "the login has ended");
  }

  grpc::Status Logout(ServerContext* context, const v1::LogoutRequest* request,
                      v1::LogoutResponse* response) override {
    const std::string caller = CallerOf(access_, *context);
    if (caller.empty()) return Stranger(*context);
    const std::lock_guard lock(access_.mu);
    const std::string token = TokenOf(*context);
    response->set_ended(static_cast<int>(std::erase_if(access_.logins, [&](const auto& entry) {
      return entry.second.access == token ||
             (request->everywhere() && entry.second.account == caller);
    })));
    return grpc::Status::OK;
  }

  grpc::Status GetSelf(ServerContext* context, const v1::GetSelfRequest*,
                       v1::Self* response) override {
    const std::string caller = CallerOf(access_, *context);
    if (caller.empty()) return Stranger(*context);
    const std::lock_guard lock(access_.mu);
    *response->mutable_account() = access_.accounts[caller].account;
    const auto token = access_.tokens.find(TokenOf(*context));
    if (token != access_.tokens.end()) *response->mutable_api_token() = token->second;
    for (const auto& [id, login] : access_.logins) {
      if (login.access == TokenOf(*context)) response->set_login(id);
    }
    return grpc::Status::OK;
  }

  grpc::Status ListLogins(ServerContext* context, const v1::ListLoginsRequest* request,
                          v1::ListLoginsResponse* response) override {
    const std::string caller = CallerOf(access_, *context);
    if (caller.empty()) return Stranger(*context);
    const std::lock_guard lock(access_.mu);
    std::map<std::string, FakeAccess::Login> logins = access_.logins;
    std::erase_if(logins, [&](const auto& entry) {
      return entry.second.account != (request->account().empty() ? caller : request->account());
    });
    AnswerPage(logins, *request, *response, [&](const FakeAccess::Login& login) {
      v1::Login& listed = *response->add_logins();
      listed = login.login;
      listed.set_current(login.access == TokenOf(*context));
    });
    return grpc::Status::OK;
  }

  grpc::Status EndLogin(ServerContext* context, const v1::EndLoginRequest* request,
                        v1::EndLoginResponse*) override {
    if (CallerOf(access_, *context).empty()) return Stranger(*context);
    const std::lock_guard lock(access_.mu);
    if (access_.logins.erase(request->id()) == 0) {
      return Refuse(*context, absl::StatusCode::kNotFound, "NO_SUCH_LOGIN", "no such login");
    }
    return grpc::Status::OK;
  }

  grpc::Status ChangePassword(ServerContext* context, const v1::ChangePasswordRequest* request,
                              v1::ChangePasswordResponse*) override {
    const std::string caller = CallerOf(access_, *context);
    if (caller.empty()) return Stranger(*context);
    const std::lock_guard lock(access_.mu);
    std::string& password = access_.accounts[caller].password;
    if (password != request->old_password()) {
      return Refuse(*context, absl::StatusCode::kPermissionDenied, "WRONG_PASSWORD",
                    "that is not the password");
    }
    password = request->new_password();
    return grpc::Status::OK;
  }

  grpc::Status CreateApiToken(ServerContext* context, const v1::CreateApiTokenRequest* request,
                              v1::CreateApiTokenResponse* response) override {
    const std::string caller = CallerOf(access_, *context);
    if (caller.empty()) return Stranger(*context);
    const std::lock_guard lock(access_.mu);
    const auto same = [&](const auto& before) {
      return !request->request_id().empty() && before.request_id() == request->request_id();
    };
    const bool repeated =
        std::any_of(access_.token_requests.begin(), access_.token_requests.end(), same);
    access_.token_requests.push_back(*request);
    if (repeated) {
      return Refuse(*context, absl::StatusCode::kAlreadyExists, "SECRET_SHOWN_ONCE",
                    "the API token 'token-1' was made by the same request before");
    }
    v1::ApiToken& token = *response->mutable_token();
    token.set_id(fmt::format("token-{}", access_.token_requests.size()));
    token.set_name(request->name());
    token.set_account(request->account().empty() ? caller : request->account());
    *token.mutable_operations() = request->operations();
    *token.mutable_applications() = request->applications();
    response->set_secret("slt_" + token.id());
    access_.tokens[response->secret()] = token;
    if (access_.lost_tokens > 0) {
      --access_.lost_tokens;
      return {grpc::StatusCode::UNAVAILABLE, "the answer got lost"};
    }
    return grpc::Status::OK;
  }

  grpc::Status ListApiTokens(ServerContext* context, const v1::ListApiTokensRequest* request,
                             v1::ListApiTokensResponse* response) override {
    if (CallerOf(access_, *context).empty()) return Stranger(*context);
    const std::lock_guard lock(access_.mu);
    AnswerPage(access_.tokens, *request, *response,
               [&](const v1::ApiToken& token) { *response->add_tokens() = token; });
    return grpc::Status::OK;
  }

  grpc::Status RevokeApiToken(ServerContext* context, const v1::RevokeApiTokenRequest* request,
                              v1::RevokeApiTokenResponse*) override {
    if (CallerOf(access_, *context).empty()) return Stranger(*context);
    const std::lock_guard lock(access_.mu);
    const auto gone = std::erase_if(
        access_.tokens, [&](const auto& entry) { return entry.second.id() == request->id(); });
    if (gone == 0) {
      return Refuse(*context, absl::StatusCode::kNotFound, "NO_SUCH_TOKEN", "no such token");
    }
    return grpc::Status::OK;
  }

 private:
  void Give(FakeAccess::Login& login, v1::LoginResponse& response) {
    ++access_.pairs;
    login.access = fmt::format("access-{}", access_.pairs);
    login.refresh = fmt::format("refresh-{}", access_.pairs);
    const std::int64_t now = ToUnixMicros(SystemClock().Wall()) / 1'000'000;
    response.set_access_token(login.access);
    response.set_refresh_token(login.refresh);
    response.mutable_access_expires_at()->set_seconds(now + access_.access_seconds);
    response.mutable_refresh_expires_at()->set_seconds(now + 86'400);
    *response.mutable_account() = access_.accounts[login.account].account;
  }

  FakeAccess& access_;
};

class Accounts final : public v1::AccountService::Service {
 public:
  explicit Accounts(FakeAccess& access) : access_(access) {}

  grpc::Status CreateAccount(ServerContext* context, const v1::CreateAccountRequest* request,
                             v1::CreateAccountResponse* response) override {
    if (auto refused = RequireAdmin(*context); !refused.ok()) return refused;
    const std::lock_guard lock(access_.mu);
    FakeAccess::Account& made = access_.accounts[request->name()];
    made.account.set_name(request->name());
    made.account.set_kind(request->kind());
    made.account.set_state(v1::ACCOUNT_STATE_ACTIVE);
    made.account.set_full_name(request->full_name());
    made.account.set_department(request->department());
    made.password = request->password().empty() ? "made-by-farm" : request->password();
    *response->mutable_account() = made.account;
    if (request->password().empty() && request->kind() != v1::ACCOUNT_KIND_SERVICE) {
      response->set_password(made.password);
    }
    return grpc::Status::OK;
  }

  grpc::Status UpdateAccount(ServerContext* context, const v1::UpdateAccountRequest* request,
                             v1::Account* response) override {
    if (auto refused = RequireAdmin(*context); !refused.ok()) return refused;
    const std::lock_guard lock(access_.mu);
    access_.updates.push_back(*request);
    *response = access_.accounts[request->name()].account;
    return grpc::Status::OK;
  }

  grpc::Status GetAccount(ServerContext* context, const v1::GetAccountRequest* request,
                          v1::Account* response) override {
    if (auto refused = RequireAdmin(*context); !refused.ok()) return refused;
    const std::lock_guard lock(access_.mu);
    const auto it = access_.accounts.find(request->name());
    if (it == access_.accounts.end()) {
      return Refuse(*context, absl::StatusCode::kNotFound, "NO_SUCH_ACCOUNT", "no such account");
    }
    *response = it->second.account;
    return grpc::Status::OK;
  }

  // Pages of one, so that whoever lists has to go on.
  grpc::Status ListAccounts(ServerContext* context, const v1::ListAccountsRequest* request,
                            v1::ListAccountsResponse* response) override {
    if (auto refused = RequireAdmin(*context); !refused.ok()) return refused;
    const std::lock_guard lock(access_.mu);
    auto it = access_.accounts.upper_bound(request->page_token());
    if (it == access_.accounts.end()) return grpc::Status::OK;
    *response->add_accounts() = it->second.account;
    const std::string name = it->first;
    if (++it != access_.accounts.end()) response->set_next_page_token(name);
    return grpc::Status::OK;
  }

  grpc::Status DeleteAccount(ServerContext* context, const v1::DeleteAccountRequest* request,
                             v1::DeleteAccountResponse*) override {
    if (auto refused = RequireAdmin(*context); !refused.ok()) return refused;
    const std::lock_guard lock(access_.mu);
    access_.accounts.erase(request->name());
    return grpc::Status::OK;
  }

  grpc::Status ResetPassword(ServerContext* context, const v1::ResetPasswordRequest* request,
                             v1::ResetPasswordResponse* response) override {
    if (auto refused = RequireAdmin(*context); !refused.ok()) return refused;
    const std::lock_guard lock(access_.mu);
    access_.accounts[request->name()].password = "made-anew";
    response->set_password("made-anew");
    return grpc::Status::OK;
  }

  grpc::Status PutGroup(ServerContext* context, const v1::PutGroupRequest* request,
                        v1::AccountGroup* response) override {
    if (auto refused = RequireAdmin(*context); !refused.ok()) return refused;
    const std::lock_guard lock(access_.mu);
    if (access_.changed_groups > 0) {
      --access_.changed_groups;
      return Refuse(*context, absl::StatusCode::kAborted, "CHANGED", "somebody else changed it");
    }
    access_.groups[request->group().name()] = request->group();
    *response = request->group();
    return grpc::Status::OK;
  }

  grpc::Status ListGroups(ServerContext* context, const v1::ListGroupsRequest* request,
                          v1::ListGroupsResponse* response) override {
    if (auto refused = RequireAdmin(*context); !refused.ok()) return refused;
    const std::lock_guard lock(access_.mu);
    AnswerPage(access_.groups, *request, *response,
               [&](const v1::AccountGroup& group) { *response->add_groups() = group; });
    return grpc::Status::OK;
  }

  grpc::Status DeleteGroup(ServerContext* context, const v1::DeleteGroupRequest* request,
                           v1::DeleteGroupResponse*) override {
    if (auto refused = RequireAdmin(*context); !refused.ok()) return refused;
    const std::lock_guard lock(access_.mu);
    access_.groups.erase(request->name());
    return grpc::Status::OK;
  }

  grpc::Status ChangeGrants(ServerContext* context, const v1::ChangeGrantsRequest* request,
                            v1::ChangeGrantsResponse*) override {
    if (auto refused = RequireAdmin(*context); !refused.ok()) return refused;
    const std::lock_guard lock(access_.mu);
    access_.grant_changes.push_back(*request);
    access_.grants.insert(access_.grants.end(), request->add().begin(), request->add().end());
    return grpc::Status::OK;
  }

  grpc::Status ListGrants(ServerContext* context, const v1::ListGrantsRequest* request,
                          v1::ListGrantsResponse* response) override {
    if (auto refused = RequireAdmin(*context); !refused.ok()) return refused;
    const std::lock_guard lock(access_.mu);
    for (const v1::Grant& grant : access_.grants) {
      if (request->account().empty() || grant.account() == request->account()) {
        *response->add_grants() = grant;
      }
    }
    return grpc::Status::OK;
  }

 private:
  grpc::Status RequireAdmin(ServerContext& context) {
    const std::string caller = CallerOf(access_, context);
    if (caller.empty()) return Stranger(context);
    const std::lock_guard lock(access_.mu);
    if (access_.accounts[caller].account.kind() == v1::ACCOUNT_KIND_ADMIN) return grpc::Status::OK;
    return Refuse(context, absl::StatusCode::kPermissionDenied, "ADMIN_ONLY",
                  "only admins may do this");
  }

  FakeAccess& access_;
};

}  // namespace

void FakeAccess::Add(const std::string& name, const std::string& password, v1::AccountKind kind) {
  const std::lock_guard lock(mu);
  Account& added = accounts[name];
  added.account.set_name(name);
  added.account.set_kind(kind);
  added.account.set_state(v1::ACCOUNT_STATE_ACTIVE);
  added.password = password;
}

std::string CallerOf(FakeAccess& access, const ServerContext& context) {
  const std::string token = TokenOf(context);
  const std::lock_guard lock(access.mu);
  for (const auto& [id, login] : access.logins) {
    if (login.access == token) return login.account;
  }
  const auto it = access.tokens.find(token);
  return it == access.tokens.end() ? "" : it->second.account();
}

std::unique_ptr<grpc::Service> MakeFakeSessions(FakeAccess& access) {
  return std::make_unique<Sessions>(access);
}
std::unique_ptr<grpc::Service> MakeFakeAccounts(FakeAccess& access) {
  return std::make_unique<Accounts>(access);
}

}  // namespace slipway::testing
