#include "controller/api/account_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "common/crypto/password.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/text.h"
#include "common/status/status.h"
#include "controller/api/access_convert.h"
#include "controller/api/fields.h"

namespace slipway::api {
namespace {

using domain::AccountKind;

constexpr std::size_t kLongestProfileText = 128;
constexpr int kMostGrants = 1000;
constexpr int kMostMembers = 10'000;

absl::Status ServiceHasNoPassword() {
  return MakeError(absl::StatusCode::kInvalidArgument, "NO_PASSWORD",
                   "a service account has no password",
                   "Give it an API token: slipway tokens create --account NAME.");
}

}  // namespace

template <typename Body>
grpc::Status AccountService::Change(grpc::ServerContext& context, const Body& body) {
  const auto caller = deps_.auth.RequireAdmin(context);
  if (!caller.ok()) return rpc::ToGrpc(context, caller.status());
  access::Access& access = deps_.auth.access();
  const absl::Status status =
      body(access.CauseOf(*caller, {caller->AuthorityFor(domain::Authority::Need::kAdmin)}));
  // Whatever came of it: an error may be one of the answer only.
  access.Changed();
  return rpc::ToGrpc(context, status);
}

grpc::Status AccountService::CreateAccount(grpc::ServerContext* context,
                                           const v1::CreateAccountRequest* request,
                                           v1::CreateAccountResponse* response) {
  return Change(*context,
                [&](const store::Cause& cause) { return DoCreate(*request, cause, *response); });
}

absl::Status AccountService::DoCreate(const v1::CreateAccountRequest& request, store::Cause cause,
                                      v1::CreateAccountResponse& response) {
  domain::Account account;
  SLIPWAY_RETURN_IF_ERROR(CheckRequestId(request.request_id()));
  cause.request_id = request.request_id();
  SLIPWAY_RETURN_IF_ERROR(CheckName("name", request.name()));
  SLIPWAY_ASSIGN_OR_RETURN(account.kind, KindFrom("kind", request.kind()));
  account.profile = {.full_name = request.full_name(),
                     .department = request.department(),
                     .post = request.post(),
                     .employee_number = request.employee_number(),
                     .email = request.email()};
  const std::map<const char*, const std::string*> texts{
      {"full_name", &request.full_name()},
      {"department", &request.department()},
      {"post", &request.post()},
      {"employee_number", &request.employee_number()},
      {"email", &request.email()}};
  for (const auto& [field, text] : texts) {
    SLIPWAY_RETURN_IF_ERROR(CheckText(field, *text, kLongestProfileText));
  }
  const bool service = account.kind == AccountKind::kService;
  if (service && !request.password().empty()) return ServiceHasNoPassword();
  std::string password = request.password();
  if (password.empty() && !service) password = crypto::NewPassword();
  if (!service) SLIPWAY_RETURN_IF_ERROR(crypto::CheckNewPassword(password));
  account.id = AccountId(NewId("acct-"));
  account.name = request.name();
  account.created_at = cause.at;
  account.created_by = cause.actor;
  SLIPWAY_ASSIGN_OR_RETURN(
      const auto created,
      deps_.accounts.Create(account, service ? "" : crypto::HashPassword(password), cause));
  if (created.before && !service) {
    SLIPWAY_RETURN_IF_ERROR(CheckRepeated(created.account, request.password()));
  }
  *response.mutable_account() = ToProto(created.account);
  if (request.password().empty()) response.set_password(password);
  return absl::OkStatus();
}

absl::Status AccountService::CheckRepeated(const domain::Account& account,
                                           const std::string& password) {
  if (password.empty()) {
    return MakeError(absl::StatusCode::kAlreadyExists, "SECRET_SHOWN_ONCE",
                     fmt::format("the account '{}' was made by the same request before; its "
                                 "password was shown then and is not kept",
                                 account.name),
                     "Give it another: slipway accounts reset-password NAME.");
  }
  if (account.state == domain::AccountState::kDeleted) return absl::OkStatus();
  SLIPWAY_ASSIGN_OR_RETURN(const auto kept, deps_.accounts.FindPassword(account.name));
  if (crypto::FitsPassword(kept.second, password)) return absl::OkStatus();
  return MakeError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
                   fmt::format("the request made the account '{}' before, whose password is "
                               "another one",
                               account.name),
                   "Use a new request id for another creation.");
}

grpc::Status AccountService::UpdateAccount(grpc::ServerContext* context,
                                           const v1::UpdateAccountRequest* request,
                                           v1::Account* response) {
  return Change(*context,
                [&](const store::Cause& cause) { return DoUpdate(*request, cause, *response); });
}

absl::Status AccountService::DoUpdate(const v1::UpdateAccountRequest& request,
                                      const store::Cause& cause, v1::Account& response) {
  store::AccountChange change;
  SLIPWAY_ASSIGN_OR_RETURN(change.revision, RevisionFrom(request.etag()));
  const v1::Account& wanted = request.account();
  const std::map<std::string, std::pair<std::optional<std::string>*, const std::string*>> texts{
      {"full_name", {&change.full_name, &wanted.full_name()}},
      {"department", {&change.department, &wanted.department()}},
      {"post", {&change.post, &wanted.post()}},
      {"employee_number", {&change.employee_number, &wanted.employee_number()}},
      {"email", {&change.email, &wanted.email()}}};
  if (request.update_mask().paths().empty()) return BadField("update_mask", "names no field");
  for (const std::string& path : request.update_mask().paths()) {
    if (const auto it = texts.find(path); it != texts.end()) {
      SLIPWAY_RETURN_IF_ERROR(
          CheckText(it->first.c_str(), *it->second.second, kLongestProfileText));
      *it->second.first = *it->second.second;
    } else if (path == "kind") {
      SLIPWAY_ASSIGN_OR_RETURN(change.kind, KindFrom("kind", wanted.kind()));
    } else if (path == "state") {
      if (wanted.state() != v1::ACCOUNT_STATE_ACTIVE &&
          wanted.state() != v1::ACCOUNT_STATE_DISABLED) {
        return BadField("state", "is neither active nor disabled");
      }
      change.state = static_cast<domain::AccountState>(wanted.state());
    } else {
      return BadField("update_mask",
                      fmt::format("'{}' is none of kind, state, full_name, department, post, "
                                  "employee_number, email",
                                  rpc::ValidUtf8(path)));
    }
  }
  SLIPWAY_ASSIGN_OR_RETURN(const auto account,
                           deps_.accounts.Update(request.name(), change, cause));
  response = ToProto(account);
  return absl::OkStatus();
}

grpc::Status AccountService::GetAccount(grpc::ServerContext* context,
                                        const v1::GetAccountRequest* request,
                                        v1::Account* response) {
  const auto caller = deps_.auth.RequireAdmin(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const auto account = deps_.accounts.GetByName(request->name());
  if (account.ok()) *response = ToProto(*account);
  return rpc::ToGrpc(*context, account.status());
}

grpc::Status AccountService::ListAccounts(grpc::ServerContext* context,
                                          const v1::ListAccountsRequest* request,
                                          v1::ListAccountsResponse* response) {
  const auto caller = deps_.auth.RequireAdmin(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const auto size = PageSizeFrom(request->page_size());
  if (!size.ok()) return rpc::ToGrpc(*context, size.status());
  const auto page = deps_.accounts.List(*size, request->page_token(), request->deleted());
  if (!page.ok()) return rpc::ToGrpc(*context, page.status());
  for (const domain::Account& account : page->objects) {
    *response->add_accounts() = ToProto(account);
  }
  response->set_next_page_token(page->next_page_token);
  response->set_total(page->total);
  return grpc::Status::OK;
}

grpc::Status AccountService::DeleteAccount(grpc::ServerContext* context,
                                           const v1::DeleteAccountRequest* request,
                                           v1::DeleteAccountResponse*) {
  return Change(*context, [&](const store::Cause& cause) {
    return deps_.accounts.Delete(request->name(), cause);
  });
}

grpc::Status AccountService::ResetPassword(grpc::ServerContext* context,
                                           const v1::ResetPasswordRequest* request,
                                           v1::ResetPasswordResponse* response) {
  return Change(*context, [&](const store::Cause& cause) {
    return DoReset(request->name(), cause, *response->mutable_password());
  });
}

absl::Status AccountService::DoReset(const std::string& name, const store::Cause& cause,
                                     std::string& password) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto account, deps_.accounts.GetByName(name));
  if (account.kind == AccountKind::kService) return ServiceHasNoPassword();
  const std::string made = crypto::NewPassword();
  SLIPWAY_RETURN_IF_ERROR(
      deps_.accounts.SetPassword(account.id, crypto::HashPassword(made), "", LoginId(), cause));
  password = made;
  return absl::OkStatus();
}

grpc::Status AccountService::PutGroup(grpc::ServerContext* context,
                                      const v1::PutGroupRequest* request,
                                      v1::AccountGroup* response) {
  return Change(*context, [&](const store::Cause& cause) {
    return DoPutGroup(request->group(), cause, *response);
  });
}

absl::Status AccountService::DoPutGroup(const v1::AccountGroup& group, const store::Cause& cause,
                                        v1::AccountGroup& response) {
  SLIPWAY_RETURN_IF_ERROR(CheckName("name", group.name()));
  SLIPWAY_RETURN_IF_ERROR(CheckText("description", group.description(), 1024, Lines::kMany));
  if (group.members_size() > kMostMembers) return BadField("members", "at most 10000");
  SLIPWAY_ASSIGN_OR_RETURN(const auto revision, RevisionFrom(group.etag()));
  SLIPWAY_ASSIGN_OR_RETURN(
      const auto made,
      deps_.accounts.PutGroup({.id = GroupId(NewId("group-")),
                               .name = group.name(),
                               .description = group.description(),
                               .members = {group.members().begin(), group.members().end()}},
                              revision, cause));
  response = ToProto(made);
  return absl::OkStatus();
}

grpc::Status AccountService::ListGroups(grpc::ServerContext* context,
                                        const v1::ListGroupsRequest* request,
                                        v1::ListGroupsResponse* response) {
  const auto caller = deps_.auth.RequireAdmin(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const auto size = PageSizeFrom(request->page_size());
  if (!size.ok()) return rpc::ToGrpc(*context, size.status());
  const auto groups = deps_.accounts.ListGroups({.size = *size, .token = request->page_token()});
  if (!groups.ok()) return rpc::ToGrpc(*context, groups.status());
  for (const domain::AccountGroup& group : groups->objects) {
    *response->add_groups() = ToProto(group);
  }
  response->set_next_page_token(groups->next_page_token);
  response->set_total(groups->total);
  return grpc::Status::OK;
}

grpc::Status AccountService::DeleteGroup(grpc::ServerContext* context,
                                         const v1::DeleteGroupRequest* request,
                                         v1::DeleteGroupResponse*) {
  return Change(*context, [&](const store::Cause& cause) {
    return deps_.accounts.DeleteGroup(request->name(), cause);
  });
}

grpc::Status AccountService::ChangeGrants(grpc::ServerContext* context,
                                          const v1::ChangeGrantsRequest* request,
                                          v1::ChangeGrantsResponse*) {
  return Change(*context,
                [&](const store::Cause& cause) { return DoChangeGrants(*request, cause); });
}

absl::Status AccountService::DoChangeGrants(const v1::ChangeGrantsRequest& request,
                                            const store::Cause& cause) {
  if (request.add_size() + request.remove_size() > kMostGrants) {
    return BadField("add", "at most 1000 grants in one call");
  }
  std::vector<store::NamedGrant> add;
  for (const v1::Grant& one : request.add()) {
    SLIPWAY_ASSIGN_OR_RETURN(auto grant, GrantFrom(one));
    if (grant.operations.empty()) return BadField("operations", "name at least one");
    if (!grant.account.empty()) {
      SLIPWAY_ASSIGN_OR_RETURN(const auto account, deps_.accounts.GetByName(grant.account));
      const auto beyond = grant.operations - domain::HoldableBy(account.kind);
      if (!beyond.empty()) {
        return MakeError(absl::StatusCode::kInvalidArgument, "KIND_FORBIDS",
                         fmt::format("accounts of the kind {} never have the operation {}",
                                     domain::AccountKindName(account.kind),
                                     domain::OperationName(beyond.List().front())));
      }
    }
    add.push_back(std::move(grant));
  }
  std::vector<store::NamedGrant> remove;
  for (const v1::Grant& one : request.remove()) {
    SLIPWAY_ASSIGN_OR_RETURN(auto grant, GrantFrom(one));
    remove.push_back(std::move(grant));
  }
  return deps_.accounts.ChangeGrants(add, remove, cause);
}

grpc::Status AccountService::ListGrants(grpc::ServerContext* context,
                                        const v1::ListGrantsRequest* request,
                                        v1::ListGrantsResponse* response) {
  const auto caller = deps_.auth.RequireAdmin(*context);
  if (!caller.ok()) return rpc::ToGrpc(*context, caller.status());
  const auto size = PageSizeFrom(request->page_size());
  if (!size.ok()) return rpc::ToGrpc(*context, size.status());
  const auto page = deps_.accounts.ListGrants({.account = request->account(),
                                               .group = request->group(),
                                               .application = request->application(),
                                               .page_size = *size,
                                               .page_token = request->page_token()});
  if (!page.ok()) return rpc::ToGrpc(*context, page.status());
  for (const store::NamedGrant& grant : page->objects) *response->add_grants() = ToProto(grant);
  response->set_next_page_token(page->next_page_token);
  response->set_total(page->total);
  return grpc::Status::OK;
}

}  // namespace slipway::api
