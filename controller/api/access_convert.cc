#include "controller/api/access_convert.h"

#include <fmt/format.h>

#include <charconv>

#include "common/rpc/convert.h"
#include "common/rpc/text.h"
#include "common/status/status.h"
#include "controller/api/fields.h"

namespace slipway::api {
namespace {

constexpr std::size_t kMostCharacters = 64;

std::size_t CharactersIn(const std::string& text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
  return count;
}

}  // namespace

v1::Account ToProto(const domain::Account& account) {
  v1::Account out;
  out.set_id(account.id.value());
  out.set_name(account.name);
  out.set_kind(static_cast<v1::AccountKind>(account.kind));
  out.set_state(static_cast<v1::AccountState>(account.state));
  out.set_full_name(account.profile.full_name);
  out.set_department(account.profile.department);
  out.set_post(account.profile.post);
  out.set_employee_number(account.profile.employee_number);
  out.set_email(account.profile.email);
  *out.mutable_created_at() = rpc::ToProto(account.created_at);
  out.set_created_by(account.created_by);
  for (const std::string& group : account.groups) out.add_groups(group);
  out.set_etag(std::to_string(account.revision));
  return out;
}

v1::Login ToProto(const domain::Login& login, const LoginId& current) {
  v1::Login out;
  out.set_id(login.id.value());
  *out.mutable_created_at() = rpc::ToProto(login.created_at);
  *out.mutable_refreshed_at() = rpc::ToProto(login.refreshed_at);
  *out.mutable_expires_at() = rpc::ToProto(login.expires_at);
  out.set_address(login.address);
  out.set_client(login.client);
  out.set_current(login.id == current);
  return out;
}

v1::ApiToken ToProto(const domain::ApiToken& token, const std::string& account,
                     const std::function<std::string(const ApplicationId&)>& name_of) {
  v1::ApiToken out;
  out.set_id(token.id.value());
  out.set_name(token.name);
  out.set_account(account);
  AddTo(*out.mutable_operations(), token.operations);
  for (const ApplicationId& id : token.applications) out.add_applications(name_of(id));
  *out.mutable_created_at() = rpc::ToProto(token.created_at);
  if (token.expires_at != WallTime()) *out.mutable_expires_at() = rpc::ToProto(token.expires_at);
  if (token.last_used_at != WallTime()) {
    *out.mutable_last_used_at() = rpc::ToProto(token.last_used_at);
  }
  if (token.revoked_at != WallTime()) *out.mutable_revoked_at() = rpc::ToProto(token.revoked_at);
  return out;
}

v1::AccountGroup ToProto(const domain::AccountGroup& group) {
  v1::AccountGroup out;
  out.set_name(group.name);
  out.set_description(group.description);
  for (const std::string& member : group.members) out.add_members(member);
  out.set_etag(std::to_string(group.revision));
  return out;
}

v1::Grant ToProto(const store::NamedGrant& grant) {
  v1::Grant out;
  if (!grant.account.empty()) out.set_account(grant.account);
  if (!grant.group.empty()) out.set_group(grant.group);
  out.set_application(grant.application);
  AddTo(*out.mutable_operations(), grant.operations);
  out.set_environment(grant.environment);
  out.set_pages(grant.pages);
  return out;
}

void AddTo(google::protobuf::RepeatedField<int>& field, domain::Operations operations) {
  for (const domain::Operation operation : operations.List()) {
    field.Add(static_cast<int>(operation));
  }
}

absl::StatusOr<domain::AccountKind> KindFrom(const char* field, v1::AccountKind kind) {
  const auto value = static_cast<domain::AccountKind>(kind);
  if (domain::AccountKindName(value).empty()) {
    return BadField(field, "is none of developer, member, operator, admin, service");
  }
  return value;
}

absl::StatusOr<domain::Operations> OperationsFrom(const char* field,
                                                  const google::protobuf::RepeatedField<int>& all) {
  domain::Operations operations;
  for (const int one : all) {
    const auto operation = static_cast<domain::Operation>(one);
    if (domain::OperationName(operation).empty()) {
      return BadField(field, fmt::format("{} is no operation", one));
    }
    operations.Add(operation);
  }
  return operations;
}

absl::StatusOr<store::NamedGrant> GrantFrom(const v1::Grant& grant) {
  store::NamedGrant out;
  out.account = grant.account();
  out.group = grant.group();
  if (out.account.empty() && out.group.empty()) {
    return BadField("grant", "names neither an account nor a group");
  }
  SLIPWAY_RETURN_IF_ERROR(CheckText("account", out.account, 4 * kMostCharacters));
  SLIPWAY_RETURN_IF_ERROR(CheckText("group", out.group, 4 * kMostCharacters));
  SLIPWAY_RETURN_IF_ERROR(CheckText("application", grant.application(), 63));
  out.application = grant.application();
  SLIPWAY_ASSIGN_OR_RETURN(out.operations, OperationsFrom("operations", grant.operations()));
  SLIPWAY_RETURN_IF_ERROR(CheckText("environment", grant.environment(), 63));
  out.environment = grant.environment();
  SLIPWAY_RETURN_IF_ERROR(CheckText("pages", grant.pages(), 256));
  if (!grant.pages().empty() && grant.pages().front() != '/') {
    return BadField("pages", "a path begins with '/'");
  }
  // "/help/" means what "/help" does, and "/" what nothing does.
  out.pages = grant.pages().substr(0, grant.pages().find_last_not_of('/') + 1);
  return out;
}

absl::Status CheckName(const char* field, const std::string& name) {
  SLIPWAY_RETURN_IF_ERROR(CheckText(field, name, 4 * kMostCharacters));
  if (name.empty() || CharactersIn(name) > kMostCharacters) {
    return BadField(field, fmt::format("use 1 to {} characters", kMostCharacters));
  }
  // The audit trail calls others by these.
  for (const char* reserved : {"scheduler", "controller", "stranger", "migration"}) {
    if (name == reserved) return BadField(field, "is a name that the farm itself uses");
  }
  if (name.rfind("agent:", 0) == 0) return BadField(field, "must not begin with 'agent:'");
  if (name.front() == ' ' || name.back() == ' ') {
    return BadField(field, "must not begin or end with a blank");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::int64_t>> RevisionFrom(const std::string& etag) {
  if (etag.empty()) return std::optional<std::int64_t>();
  std::int64_t revision = 0;
  const auto [end, error] = std::from_chars(etag.data(), etag.data() + etag.size(), revision);
  if (error != std::errc() || end != etag.data() + etag.size()) {
    return BadField("etag", "is not one that was read");
  }
  return std::optional(revision);
}

absl::StatusOr<int> PageSizeFrom(int page_size) {
  if (page_size == 0) return 100;
  if (page_size < 1 || page_size > 1000) return BadField("page_size", "not in 1 … 1000");
  return page_size;
}

}  // namespace slipway::api
