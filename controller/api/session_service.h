#pragma once

#include <grpcpp/grpcpp.h>

#include "controller/api/auth.h"
#include "controller/store/access_store.h"
#include "controller/store/catalog_store.h"
#include "slipway/v1/session.grpc.pb.h"

namespace slipway::api {

// What the services of accounts share.
struct AccessDeps {
  const Authenticator& auth;
  store::AccountStore& accounts;
  store::LoginStore& logins;
  store::ApplicationStore& applications;
  const Clock& clock;
};

// Logins and API tokens of whoever calls. Thread-safe.
class SessionService final : public v1::SessionService::Service {
 public:
  explicit SessionService(const AccessDeps& deps) : deps_(deps) {}

  grpc::Status Login(grpc::ServerContext* context, const v1::LoginRequest* request,
                     v1::LoginResponse* response) override;
  grpc::Status Refresh(grpc::ServerContext* context, const v1::RefreshRequest* request,
                       v1::LoginResponse* response) override;
  grpc::Status Logout(grpc::ServerContext* context, const v1::LogoutRequest* request,
                      v1::LogoutResponse* response) override;
  grpc::Status GetSelf(grpc::ServerContext* context, const v1::GetSelfRequest* request,
                       v1::Self* response) override;
  grpc::Status ListLogins(grpc::ServerContext* context, const v1::ListLoginsRequest* request,
                          v1::ListLoginsResponse* response) override;
  grpc::Status EndLogin(grpc::ServerContext* context, const v1::EndLoginRequest* request,
                        v1::EndLoginResponse* response) override;
  grpc::Status ChangePassword(grpc::ServerContext* context,
                              const v1::ChangePasswordRequest* request,
                              v1::ChangePasswordResponse* response) override;
  grpc::Status CreateApiToken(grpc::ServerContext* context,
                              const v1::CreateApiTokenRequest* request,
                              v1::CreateApiTokenResponse* response) override;
  grpc::Status ListApiTokens(grpc::ServerContext* context, const v1::ListApiTokensRequest* request,
                             v1::ListApiTokensResponse* response) override;
  grpc::Status RevokeApiToken(grpc::ServerContext* context,
                              const v1::RevokeApiTokenRequest* request,
                              v1::RevokeApiTokenResponse* response) override;

 private:
  // The caller's own account, or the named one if the caller is an admin.
  absl::StatusOr<domain::Account> AccountOf(const access::Caller& caller, const std::string& name);
  v1::ApiToken Describe(const domain::ApiToken& token, const std::string& account);
  absl::Status DoCreateToken(grpc::ServerContext& context, const v1::CreateApiTokenRequest& request,
                             v1::CreateApiTokenResponse& response);

  const AccessDeps deps_;
};

}  // namespace slipway::api
