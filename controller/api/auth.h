#pragma once

#include <grpcpp/grpcpp.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/access/access.h"
#include "controller/domain/application.h"
#include "controller/store/audit_store.h"

namespace slipway::api {

// Tells who calls, from the metadata `authorization: Bearer TOKEN`, and what they may do. What it
// refuses goes into the audit trail. Thread-safe.
class Authenticator {
 public:
  // `gateway_token`: who sends it as metadata `slipway-gateway` speaks for the address in
  // `slipway-client`; "": nobody does.
  Authenticator(access::Access& access, store::RefusalRecorder& refusals, std::string gateway_token)
      : access_(access), refusals_(refusals), gateway_token_(std::move(gateway_token)) {}

  // kUnauthenticated, reason NO_TOKEN or BAD_TOKEN.
  [[nodiscard]] absl::StatusOr<access::Caller> Authenticate(
      const grpc::ServerContextBase& context) const;
  // Also kPermissionDenied, reason ADMIN_ONLY, OPERATOR_ONLY or TOKEN_FORBIDS.
  [[nodiscard]] absl::StatusOr<access::Caller> RequireAdmin(
      const grpc::ServerContextBase& context) const;
  [[nodiscard]] absl::StatusOr<access::Caller> RequireOperator(
      const grpc::ServerContextBase& context) const;

  // kNotFound, as if there were no such thing: `what` names it as the store would ("task 'x'").
  // kPermissionDenied with the verdict's reason.
  [[nodiscard]] absl::Status Check(const access::Caller& caller, const domain::Question& question,
                                   const std::string& what, std::string_view reason) const;

  // Where the call comes from, without the port; "" when it cannot be told.
  [[nodiscard]] std::string AddressOf(const grpc::ServerContextBase& context) const;

  [[nodiscard]] access::Access& access() const { return access_; }

  // Enter what somebody was refused into the audit trail: a stranger, or a caller; what is ok, or
  // is no refusal but an error, is passed over. For what neither Check nor a store finds.
  void NoteRefusal(const std::string& address, std::string_view action, std::string_view object,
                   const std::string& subject, const absl::Status& outcome) const;
  void NoteRefusal(const access::Caller& caller, std::string_view action, std::string_view object,
                   const std::string& subject, const absl::Status& outcome) const;

 private:
  void Enter(std::string actor, const std::string& from, std::string_view action,
             std::string_view object, std::string subject, std::string reason) const;
  [[nodiscard]] absl::StatusOr<access::Caller> RequireKind(const grpc::ServerContextBase& context,
                                                           domain::Authority::Need need) const;

  access::Access& access_;
  store::RefusalRecorder& refusals_;
  const std::string gateway_token_;
};

}  // namespace slipway::api
