#include "controller/api/auth.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "common/crypto/token.h"
#include "common/rpc/text.h"
#include "common/status/status.h"

namespace slipway::api {
namespace {

using domain::Authority;

std::string_view MetadataOf(const grpc::ServerContextBase& context, const char* key) {
  const auto& metadata = context.client_metadata();
  const auto it = metadata.find(key);
  return it == metadata.end() ? std::string_view()
                              : std::string_view(it->second.data(), it->second.size());
}

// "ipv4:10.1.2.3:40000" and "ipv6:%5B::1%5D:40000", as gRPC writes them.
std::string AddressIn(std::string peer) {
  const auto kind = peer.find(':');
  const auto port = peer.rfind(':');
  if (peer.rfind("ipv", 0) != 0 || port <= kind) return "";
  std::string address = peer.substr(kind + 1, port - kind - 1);
  for (const std::string_view bracket : {"%5B", "%5D", "[", "]"}) {
    const auto at = address.find(bracket);
    if (at != std::string::npos) address.erase(at, bracket.size());
  }
  return address;
}

// Of those that Access gives by itself; what a transaction refuses is entered by its store.
bool IsRefusal(std::string_view reason) {
  for (const std::string_view known :
       {"BAD_LOGIN", "LOGIN_DELAYED", "BAD_REFRESH", "WRONG_PASSWORD", "TOKEN_FORBIDS",
        "ADMIN_ONLY", "LOGIN_NEEDED"}) {
    if (reason == known) return true;
  }
  return false;
}

}  // namespace

std::string Authenticator::AddressOf(const grpc::ServerContextBase& context) const {
  const std::string_view mark = MetadataOf(context, "slipway-gateway");
  if (!gateway_token_.empty() && crypto::ConstantTimeEqual(mark, gateway_token_)) {
    return rpc::ValidUtf8(std::string(MetadataOf(context, "slipway-client").substr(0, 64)));
  }
  return AddressIn(context.peer());
}

absl::StatusOr<access::Caller> Authenticator::Authenticate(
    const grpc::ServerContextBase& context) const {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view value = MetadataOf(context, "authorization");
  const std::string_view bearer =
      value.substr(0, kScheme.size()) == kScheme ? value.substr(kScheme.size()) : "";
  const std::string address = AddressOf(context);
  auto caller = access_.Authenticate(std::string(bearer), address);
  // Who has no token at all has tried nothing.
  if (GetErrorInfo(caller.status()).reason == "BAD_TOKEN") {
    Enter("stranger", address, "authenticate", "farm", "", "BAD_TOKEN");
  }
  return caller;
}

absl::StatusOr<access::Caller> Authenticator::RequireKind(const grpc::ServerContextBase& context,
                                                          Authority::Need need) const {
  SLIPWAY_ASSIGN_OR_RETURN(auto caller, Authenticate(context));
  const absl::Status status = access::Access::CheckAdministers(caller, need);
  if (status.ok()) return caller;
  Enter(caller.account.name, caller.address, "administer", "farm", "", GetErrorInfo(status).reason);
  return status;
}

absl::StatusOr<access::Caller> Authenticator::RequireAdmin(
    const grpc::ServerContextBase& context) const {
  return RequireKind(context, Authority::Need::kAdmin);
}

absl::StatusOr<access::Caller> Authenticator::RequireOperator(
    const grpc::ServerContextBase& context) const {
  return RequireKind(context, Authority::Need::kOperator);
}

void Authenticator::Enter(std::string actor, const std::string& from, std::string_view action,
                          std::string_view object, std::string subject, std::string reason) const {
  refusals_.RecordRefusal({.actor = std::move(actor),
                           .from = from,
                           .action = std::string(action),
                           .object = std::string(object),
                           .subject = std::move(subject),
                           .reason = std::move(reason),
                           .before = "",
                           .after = "",
                           .details = {}});
}

void Authenticator::NoteRefusal(const std::string& address, std::string_view action,
                                std::string_view object, const std::string& subject,
                                const absl::Status& outcome) const {
  std::string reason = GetErrorInfo(outcome).reason;
  if (!IsRefusal(reason)) return;
  Enter("stranger", address, action, object, subject, std::move(reason));
}

void Authenticator::NoteRefusal(const access::Caller& caller, std::string_view action,
                                std::string_view object, const std::string& subject,
                                const absl::Status& outcome) const {
  std::string reason = GetErrorInfo(outcome).reason;
  if (!IsRefusal(reason)) return;
  Enter(caller.account.name, caller.address, action, object, subject, std::move(reason));
}

absl::Status Authenticator::Check(const access::Caller& caller, const domain::Question& question,
                                  const std::string& what, std::string_view reason) const {
  absl::Status status =
      access_.Check(caller, question,
                    MakeError(absl::StatusCode::kNotFound, reason,
                              fmt::format("there is no {}", rpc::ValidUtf8(what))));
  if (status.ok() || !(absl::IsPermissionDenied(status) || absl::IsNotFound(status))) return status;
  Enter(caller.account.name, caller.address, domain::OperationName(question.operation),
        "application", question.application.value(),
        absl::IsNotFound(status) ? "NO_SUCH_APPLICATION" : GetErrorInfo(status).reason);
  return status;
}

}  // namespace slipway::api
