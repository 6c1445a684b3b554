#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "controller/domain/agent.h"
#include "controller/store/catalog_store.h"

namespace slipway::api {

// Tells who calls from the metadata `authorization: Bearer <API token>`. Thread-safe.
class Authenticator {
 public:
  explicit Authenticator(store::TokenStore& tokens) : tokens_(tokens) {}

  // kUnauthenticated, reason NO_TOKEN or BAD_TOKEN. Reads the database.
  [[nodiscard]] absl::StatusOr<domain::Account> Authenticate(
      const grpc::ServerContextBase& context) const;
  // Also kPermissionDenied, reason ADMIN_ONLY.
  [[nodiscard]] absl::StatusOr<domain::Account> RequireAdmin(
      const grpc::ServerContextBase& context) const;

 private:
  store::TokenStore& tokens_;
};

}  // namespace slipway::api
