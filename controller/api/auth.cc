#include "controller/api/auth.h"

#include <fmt/format.h>

#include <string_view>

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
  return access_.Authenticate(std::string(bearer), AddressOf(context));
}

absl::StatusOr<access::Caller> Authenticator::RequireAdmin(
    const grpc::ServerContextBase& context) const {
  SLIPWAY_ASSIGN_OR_RETURN(auto caller, Authenticate(context));
  SLIPWAY_RETURN_IF_ERROR(access::Access::CheckAdministers(caller, Authority::Need::kAdmin));
  return caller;
}

absl::StatusOr<access::Caller> Authenticator::RequireOperator(
    const grpc::ServerContextBase& context) const {
  SLIPWAY_ASSIGN_OR_RETURN(auto caller, Authenticate(context));
  SLIPWAY_RETURN_IF_ERROR(access::Access::CheckAdministers(caller, Authority::Need::kOperator));
  return caller;
}

absl::Status Authenticator::Check(const access::Caller& caller, const domain::Question& question,
                                  const std::string& what, std::string_view reason) const {
  return access_.Check(caller, question,
                       MakeError(absl::StatusCode::kNotFound, reason,
                                 fmt::format("there is no {}", rpc::ValidUtf8(what))));
}

}  // namespace slipway::api
