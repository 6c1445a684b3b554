#include "controller/api/auth.h"

#include <string>
#include <string_view>

#include "common/crypto/token.h"
#include "common/status/status.h"

namespace slipway::api {

absl::StatusOr<domain::Account> Authenticator::Authenticate(
    const grpc::ServerContextBase& context) const {
  constexpr std::string_view kScheme = "Bearer ";
  const auto& metadata = context.client_metadata();
  const auto it = metadata.find("authorization");
  const std::string_view value = it == metadata.end()
                                     ? std::string_view()
                                     : std::string_view(it->second.data(), it->second.size());
  if (value.substr(0, kScheme.size()) != kScheme) {
    return MakeError(absl::StatusCode::kUnauthenticated, "NO_TOKEN", "this call needs an API token",
                     "Send it as metadata `authorization: Bearer TOKEN`.");
  }
  const std::string hash = crypto::HashToken(value.substr(kScheme.size())).Hex();
  auto account = tokens_.Find(hash);
  if (account.status().code() == absl::StatusCode::kNotFound) {
    return MakeError(absl::StatusCode::kUnauthenticated, "BAD_TOKEN", "the API token is not valid",
                     "Ask an admin of the farm for a new one.");
  }
  return account;
}

absl::StatusOr<domain::Account> Authenticator::RequireAdmin(
    const grpc::ServerContextBase& context) const {
  SLIPWAY_ASSIGN_OR_RETURN(auto account, Authenticate(context));
  if (!account.admin) {
    return MakeError(absl::StatusCode::kPermissionDenied, "ADMIN_ONLY", "only admins may do this");
  }
  return account;
}

}  // namespace slipway::api
