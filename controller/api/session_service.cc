#include "controller/api/session_service.h"

#include <chrono>

#include "common/rpc/convert.h"
#include "common/rpc/grpc_status.h"
#include "common/status/status.h"
#include "controller/api/access_convert.h"
#include "controller/api/fields.h"

namespace slipway::api {
namespace {

constexpr std::size_t kLongestClient = 128;
constexpr int kMostApplications = 100;
constexpr Duration kUsualLifetime = std::chrono::hours(24 * 90);
constexpr Duration kShortestLifetime = std::chrono::minutes(1);
constexpr Duration kLongestLifetime = std::chrono::hours(24 * 731);

void Fill(v1::LoginResponse& response, const access::LoginTokens& tokens) {
  response.set_access_token(tokens.access);
  *response.mutable_access_expires_at() = rpc::ToProto(tokens.access_expires_at);
  response.set_refresh_token(tokens.refresh);
  *response.mutable_refresh_expires_at() = rpc::ToProto(tokens.refresh_expires_at);
  *response.mutable_account() = ToProto(tokens.account);
}

absl::StatusOr<Duration> LifetimeFrom(const v1::CreateApiTokenRequest& request) {
  if (!request.has_lifetime()) return kUsualLifetime;
  const auto& lifetime = request.lifetime();
  // Before any arithmetic: seconds beyond that overflow nanoseconds.
  const bool sane = lifetime.seconds() >= 0 && lifetime.seconds() <= 1'000'000'000;
  const Duration span = sane ? rpc::FromProto(lifetime) : Duration(-1);
  if (span < kShortestLifetime || span > kLongestLifetime) {
    return BadField("lifetime", "not between 1 minute and 2 years");
  }
  return span;
}

}  // namespace

grpc::Status SessionService::Login(grpc::ServerContext* context, const v1::LoginRequest* request,
                                   v1::LoginResponse* response) {
  if (absl::Status bad = CheckText("client", request->client(), kLongestClient); !bad.ok()) {
    return rpc::ToGrpc(*context, bad);
  }
  const std::string address = deps_.auth.AddressOf(*context);
  const auto tokens = deps_.auth.access().Login(request->account(), request->password(),
                                                request->client(), address);
  deps_.auth.NoteRefusal(address, "login", "account", request->account(), tokens.status());
  if (tokens.ok()) Fill(*response, *tokens);
  return rpc::ToGrpc(*context, tokens.status());
}

grpc::Status SessionService::Refresh(grpc::ServerContext* context,
                                     const v1::RefreshRequest* request,
                                     v1::LoginResponse* response) {
  const std::string address = deps_.auth.AddressOf(*context);
  const auto tokens = deps_.auth.access().Refresh(request->refresh_token(), address);
  deps_.auth.NoteRefusal(address, "refresh", "login", "", tokens.status());
  if (tokens.ok()) Fill(*response, *tokens);
  return rpc::ToGrpc(*context, tokens.status());
}

grpc::Status SessionService::Logout(grpc::ServerContext* context, const v1::LogoutRequest* request,
                                    v1::LogoutResponse* response) {
  const auto caller = deps_.auth.Authenticate(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const auto ended = deps_.auth.access().Logout(*caller, request->everywhere());
  deps_.auth.NoteRefusal(*caller, "end_logins", "account", caller->account.name, ended.status());
  if (ended.ok()) response->set_ended(*ended);
  return rpc::ToGrpc(*context, ended.status());
}

grpc::Status SessionService::GetSelf(grpc::ServerContext* context, const v1::GetSelfRequest*,
                                     v1::Self* response) {
  const auto caller = deps_.auth.Authenticate(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  *response->mutable_account() = ToProto(caller->account);
  response->set_login(caller->login.value());
  if (caller->api_token) {
    *response->mutable_api_token() = Describe(*caller->api_token, caller->account.name);
  }
  return grpc::Status::OK;
}

absl::StatusOr<domain::Account> SessionService::AccountOf(const access::Caller& caller,
                                                          const std::string& name) {
  if (name.empty() || name == caller.account.name) return caller.account;
  const absl::Status may =
      access::Access::CheckAdministers(caller, domain::Authority::Need::kAdmin);
  deps_.auth.NoteRefusal(caller, "administer", "account", name, may);
  SLIPWAY_RETURN_IF_ERROR(may);
  return deps_.accounts.GetByName(name);
}

v1::ApiToken SessionService::Describe(const domain::ApiToken& token, const std::string& account) {
  return ToProto(token, account, [this](const ApplicationId& id) {
    const auto application = deps_.applications.Get(id);
    return application.ok() ? application->name : std::string();
  });
}

grpc::Status SessionService::ListLogins(grpc::ServerContext* context,
                                        const v1::ListLoginsRequest* request,
                                        v1::ListLoginsResponse* response) {
  const auto caller = deps_.auth.Authenticate(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const auto account = AccountOf(*caller, request->account());
  if (!account.ok()) return rpc::ToGrpc(*context, account.status());
  const auto size = PageSizeFrom(request->page_size());
  if (!size.ok()) return rpc::ToGrpc(*context, size.status());
  const auto logins = deps_.logins.LiveLogins(account->id, deps_.clock.Wall(),
                                              {.size = *size, .token = request->page_token()});
  if (!logins.ok()) return rpc::ToGrpc(*context, logins.status());
  for (const domain::Login& login : logins->objects) {
    *response->add_logins() = ToProto(login, caller->login);
  }
  response->set_next_page_token(logins->next_page_token);
  response->set_total(logins->total);
  return grpc::Status::OK;
}

grpc::Status SessionService::EndLogin(grpc::ServerContext* context,
                                      const v1::EndLoginRequest* request, v1::EndLoginResponse*) {
  const auto caller = deps_.auth.Authenticate(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const absl::Status ended = deps_.auth.access().EndLogin(*caller, LoginId(request->id()));
  deps_.auth.NoteRefusal(*caller, "end_login", "login", request->id(), ended);
  return rpc::ToGrpc(*context, ended);
}

grpc::Status SessionService::ChangePassword(grpc::ServerContext* context,
                                            const v1::ChangePasswordRequest* request,
                                            v1::ChangePasswordResponse*) {
  const auto caller = deps_.auth.Authenticate(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const absl::Status changed =
      deps_.auth.access().ChangePassword(*caller, request->old_password(), request->new_password());
  deps_.auth.NoteRefusal(*caller, "set_password", "account", caller->account.name, changed);
  return rpc::ToGrpc(*context, changed);
}

grpc::Status SessionService::CreateApiToken(grpc::ServerContext* context,
                                            const v1::CreateApiTokenRequest* request,
                                            v1::CreateApiTokenResponse* response) {
  return rpc::ToGrpc(*context, DoCreateToken(*context, *request, *response));
}

absl::Status SessionService::DoCreateToken(grpc::ServerContext& context,
                                           const v1::CreateApiTokenRequest& request,
                                           v1::CreateApiTokenResponse& response) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto caller, deps_.auth.Authenticate(context));
  SLIPWAY_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  SLIPWAY_RETURN_IF_ERROR(CheckName("name", request.name()));
  SLIPWAY_ASSIGN_OR_RETURN(const auto account, AccountOf(caller, request.account()));
  domain::ApiToken wanted;
  wanted.account = account.id;
  wanted.name = request.name();
  SLIPWAY_ASSIGN_OR_RETURN(wanted.operations, OperationsFrom("operations", request.operations()));
  if (request.applications_size() > kMostApplications) {
    return BadField("applications", "at most 100");
  }
  for (const std::string& name : request.applications()) {
    SLIPWAY_ASSIGN_OR_RETURN(const auto application, deps_.applications.GetByName(name));
    // What the caller does not see it cannot name.
    SLIPWAY_RETURN_IF_ERROR(deps_.auth.Check(caller, {.application = application.id},
                                             "application '" + name + "'", "NO_SUCH_APPLICATION"));
    wanted.applications.push_back(application.id);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const Duration lifetime, LifetimeFrom(request));
  const auto made =
      deps_.auth.access().CreateToken(caller, std::move(wanted), lifetime, request.request_id());
  deps_.auth.NoteRefusal(caller, "create_api_token", "account", account.name, made.status());
  SLIPWAY_RETURN_IF_ERROR(made.status());
  *response.mutable_token() = Describe(made->first, account.name);
  response.set_secret(made->second);
  return absl::OkStatus();
}

grpc::Status SessionService::ListApiTokens(grpc::ServerContext* context,
                                           const v1::ListApiTokensRequest* request,
                                           v1::ListApiTokensResponse* response) {
  const auto caller = deps_.auth.Authenticate(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const auto account = AccountOf(*caller, request->account());
  if (!account.ok()) return rpc::ToGrpc(*context, account.status());
  const auto size = PageSizeFrom(request->page_size());
  if (!size.ok()) return rpc::ToGrpc(*context, size.status());
  deps_.auth.access().FlushTokenUse();
  const auto tokens = deps_.logins.ListTokens(account->id, deps_.clock.Wall(),
                                              {.size = *size, .token = request->page_token()});
  if (!tokens.ok()) return rpc::ToGrpc(*context, tokens.status());
  for (const domain::ApiToken& token : tokens->objects) {
    *response->add_tokens() = Describe(token, account->name);
  }
  response->set_next_page_token(tokens->next_page_token);
  response->set_total(tokens->total);
  return grpc::Status::OK;
}

grpc::Status SessionService::RevokeApiToken(grpc::ServerContext* context,
                                            const v1::RevokeApiTokenRequest* request,
                                            v1::RevokeApiTokenResponse*) {
  const auto caller = deps_.auth.Authenticate(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const absl::Status revoked = deps_.auth.access().RevokeToken(*caller, ApiTokenId(request->id()));
  deps_.auth.NoteRefusal(*caller, "revoke_api_token", "api_token", request->id(), revoked);
  return rpc::ToGrpc(*context, revoked);
}

}  // namespace slipway::api
