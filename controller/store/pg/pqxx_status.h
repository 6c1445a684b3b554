#pragma once

#include <exception>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace slipway::store::pg {

// The one place where libpqxx's exceptions become statuses. The SQLSTATE is kept (SqlState).
//   lost or refused connection  kUnavailable DATABASE_UNAVAILABLE
//   COMMIT whose reply was lost kUnknown COMMIT_IN_DOUBT: reload, never guess
//   unique constraint           kAlreadyExists; foreign key: kFailedPrecondition;
//   check, not null, bad data   kInvalidArgument
//   deadlock, serialization     kAborted; lock timeout: kAborted; statement timeout:
//   kDeadlineExceeded disk full, out of memory    kResourceExhausted DATABASE_FULL
absl::Status StatusFromPqxx(std::exception_ptr error);

// Five characters, or empty when the server did not say one.
std::string SqlState(const absl::Status& status);

// True for what says something about the database rather than about one row of a statement: the
// caller must not look for a bad row but step down or report.
bool IsInfrastructureError(const absl::Status& status);

// Runs `body`, which returns a Status or StatusOr, and turns what it throws into one.
template <typename Body>
auto CatchPqxx(Body&& body) -> decltype(body()) {
  try {
    return std::forward<Body>(body)();
  } catch (...) {
    return StatusFromPqxx(std::current_exception());
  }
}

}  // namespace slipway::store::pg
