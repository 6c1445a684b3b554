#pragma once

#include <google/protobuf/repeated_field.h>

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "controller/domain/account.h"
#include "controller/store/access_store.h"
#include "slipway/v1/access.pb.h"
#include "slipway/v1/session.pb.h"

// Accounts and what belongs to them as clients see them. Errors are kInvalidArgument and name the
// field. Pure.
namespace slipway::api {

v1::Account ToProto(const domain::Account& account);
v1::Login ToProto(const domain::Login& login, const LoginId& current);
// `name_of`: of an application; "" for one that is not there any more.
v1::ApiToken ToProto(const domain::ApiToken& token, const std::string& account,
                     const std::function<std::string(const ApplicationId&)>& name_of);
v1::AccountGroup ToProto(const domain::AccountGroup& group);
v1::Grant ToProto(const store::NamedGrant& grant);
void AddTo(google::protobuf::RepeatedField<int>& field, domain::Operations operations);

absl::StatusOr<domain::AccountKind> KindFrom(const char* field, v1::AccountKind kind);
absl::StatusOr<domain::Operations> OperationsFrom(const char* field,
                                                  const google::protobuf::RepeatedField<int>& all);
absl::StatusOr<store::NamedGrant> GrantFrom(const v1::Grant& grant);
// A name for an account or a group: 1 to 64 characters without control characters, not beginning
// or ending with a blank.
absl::Status CheckName(const char* field, const std::string& name);
// "12" → 12; empty: none.
absl::StatusOr<std::optional<std::int64_t>> RevisionFrom(const std::string& etag);
// 1 to 1000; 0 means 100.
absl::StatusOr<int> PageSizeFrom(int page_size);

}  // namespace slipway::api
