#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "controller/store/cause.h"
#include "controller/store/pg/session.h"

// Creations that may be repeated. Private to this library.
namespace slipway::store::pg {

// Takes cause.request_id for the creation of `key`, an `object` with these wished contents, which
// hold its name when its caller names it; before anything else of the creation, so that a repeated
// call waits here for the first. The key of what it made before; nullopt: nothing yet, or there is
// no request id. kAlreadyExists REQUEST_ID_REUSED: it was for something else.
[[nodiscard]] absl::StatusOr<std::optional<std::string>> ClaimRequest(Transaction& transaction,
                                                                      const Cause& cause,
                                                                      std::string_view object,
                                                                      const std::string& key,
                                                                      const std::string& contents);

// kAlreadyExists SECRET_SHOWN_ONCE: the request has made this before, and its secret is not kept.
[[nodiscard]] absl::Status SecretShownOnce(std::string_view object, const std::string& key);

// kAborted ETAG_MISMATCH unless the caller has seen this state, or does not care.
[[nodiscard]] absl::Status CheckRevision(std::optional<std::int64_t> seen, std::int64_t stored,
                                         const std::string& what);

}  // namespace slipway::store::pg
