#pragma once

#include <grpcpp/grpcpp.h>

#include "controller/api/session_service.h"
#include "slipway/v1/access.grpc.pb.h"

namespace slipway::api {

// Accounts, groups and grants, for admins. Thread-safe.
class AccountService final : public v1::AccountService::Service {
 public:
  explicit AccountService(const AccessDeps& deps) : deps_(deps) {}

  grpc::Status CreateAccount(grpc::ServerContext* context, const v1::CreateAccountRequest* request,
                             v1::CreateAccountResponse* response) override;
  grpc::Status UpdateAccount(grpc::ServerContext* context, const v1::UpdateAccountRequest* request,
                             v1::Account* response) override;
  grpc::Status GetAccount(grpc::ServerContext* context, const v1::GetAccountRequest* request,
                          v1::Account* response) override;
  grpc::Status ListAccounts(grpc::ServerContext* context, const v1::ListAccountsRequest* request,
                            v1::ListAccountsResponse* response) override;
  grpc::Status DeleteAccount(grpc::ServerContext* context, const v1::DeleteAccountRequest* request,
                             v1::DeleteAccountResponse* response) override;
  grpc::Status ResetPassword(grpc::ServerContext* context, const v1::ResetPasswordRequest* request,
                             v1::ResetPasswordResponse* response) override;
  grpc::Status PutGroup(grpc::ServerContext* context, const v1::PutGroupRequest* request,
                        v1::AccountGroup* response) override;
  grpc::Status ListGroups(grpc::ServerContext* context, const v1::ListGroupsRequest* request,
                          v1::ListGroupsResponse* response) override;
  grpc::Status DeleteGroup(grpc::ServerContext* context, const v1::DeleteGroupRequest* request,
                           v1::DeleteGroupResponse* response) override;
  grpc::Status ChangeGrants(grpc::ServerContext* context, const v1::ChangeGrantsRequest* request,
                            v1::ChangeGrantsResponse* response) override;
  grpc::Status ListGrants(grpc::ServerContext* context, const v1::ListGrantsRequest* request,
                          v1::ListGrantsResponse* response) override;

 private:
  // Asks for an admin and runs `body` with the cause of its changes; then whatever was remembered
  // of rights is forgotten.
  template <typename Body>
  grpc::Status Change(grpc::ServerContext& context, const Body& body);

  absl::Status DoCreate(const v1::CreateAccountRequest& request, store::Cause cause,
                        v1::CreateAccountResponse& response);
  // Whether what a request made before may be its answer: the password is the account's.
  absl::Status CheckRepeated(const domain::Account& account, const std::string& password);
  absl::Status DoUpdate(const v1::UpdateAccountRequest& request, const store::Cause& cause,
                        v1::Account& response);
  absl::Status DoReset(const std::string& name, const store::Cause& cause, std::string& password);
  absl::Status DoPutGroup(const v1::AccountGroup& group, const store::Cause& cause,
                          v1::AccountGroup& response);
  absl::Status DoChangeGrants(const v1::ChangeGrantsRequest& request, const store::Cause& cause);

  const AccessDeps deps_;
};

}  // namespace slipway::api
