#include "controller/store/pg/creation_request.h"

#include <fmt/format.h>

#include "common/status/status.h"
#include "controller/store/pg/rows.h"

namespace slipway::store::pg {
namespace {

constexpr Statement kForgetRequests{
    "catalog_forget_requests",
    "DELETE FROM creation_requests WHERE at < clock_timestamp() - interval '30 days'"};
constexpr Statement kClaimRequest{"catalog_claim_request", R"(
INSERT INTO creation_requests (account, request_id, object, key, contents)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING)"};
constexpr Statement kClaimedRequest{
    "catalog_claimed_request",
    "SELECT object, key, contents FROM creation_requests WHERE account = $1 AND request_id = $2"};

}  // namespace

absl::StatusOr<std::optional<std::string>> ClaimRequest(Transaction& transaction,
                                                        const Cause& cause, std::string_view object,
                                                        const std::string& key,
                                                        const std::string& contents) {
  if (cause.request_id.empty()) return std::optional<std::string>();
  transaction.Run(kForgetRequests);
  const std::string kind(object);
  if (transaction.Run(kClaimRequest, cause.actor, cause.request_id, kind, key, contents)
          .affected_rows() == 1) {
    return std::optional<std::string>();
  }
  const pqxx::row before = transaction.Run(kClaimedRequest, cause.actor, cause.request_id).at(0);
  const std::string made = before["key"].as<std::string>();
  if (before["object"].as<std::string>() == kind &&
      before["contents"].as<std::string>() == contents) {
    return std::optional(made);
  }
  return MakeError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
                   fmt::format("the request id '{}' was used for the {} '{}', with other contents",
                               cause.request_id, before["object"].as<std::string>(), made),
                   "Use a new request id for another creation.");
}

absl::Status SecretShownOnce(std::string_view object, const std::string& key) {
  return MakeError(absl::StatusCode::kAlreadyExists, "SECRET_SHOWN_ONCE",
                   fmt::format("the {} '{}' was made by the same request before; its secret was "
                               "shown then and is not kept",
                               object, key),
                   "Revoke it if nobody has the secret, and create another with a new request id.");
}

absl::Status CheckRevision(std::optional<std::int64_t> seen, std::int64_t stored,
                           const std::string& what) {
  if (!seen || *seen == stored) return absl::OkStatus();
  return MakeError(absl::StatusCode::kAborted, "ETAG_MISMATCH",
                   fmt::format("{} was changed since it was read", what),
                   "Read it again and repeat the change.");
}

}  // namespace slipway::store::pg
