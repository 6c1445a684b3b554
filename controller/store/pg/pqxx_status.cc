#include "controller/store/pg/pqxx_status.h"

#include <fmt/format.h>

#include <new>
#include <pqxx/pqxx>
#include <string_view>

#include "absl/strings/cord.h"
#include "common/status/status.h"

namespace slipway::store::pg {
namespace {

constexpr char kSqlStateUrl[] = "slipway/sqlstate";
constexpr char kUnavailable[] = "DATABASE_UNAVAILABLE";

struct Meaning {
  std::string_view state_prefix;
  absl::StatusCode code;
  std::string_view reason;
};

// The first prefix that fits wins.
constexpr Meaning kMeanings[] = {
    {"08", absl::StatusCode::kUnavailable, kUnavailable},
    {"22", absl::StatusCode::kInvalidArgument, ""},
    {"23505", absl::StatusCode::kAlreadyExists, ""},
    {"23502", absl::StatusCode::kInvalidArgument, ""},
    {"23514", absl::StatusCode::kInvalidArgument, ""},
    {"23", absl::StatusCode::kFailedPrecondition, ""},
    {"25P03", absl::StatusCode::kUnavailable, kUnavailable},
    {"25", absl::StatusCode::kFailedPrecondition, ""},
    {"28", absl::StatusCode::kPermissionDenied, "DATABASE_REFUSED"},
    {"3D000", absl::StatusCode::kNotFound, ""},
    {"40003", absl::StatusCode::kUnknown, "COMMIT_IN_DOUBT"},
    {"40", absl::StatusCode::kAborted, ""},
    {"42501", absl::StatusCode::kPermissionDenied, "DATABASE_REFUSED"},
    {"53300", absl::StatusCode::kUnavailable, kUnavailable},
    {"53", absl::StatusCode::kResourceExhausted, "DATABASE_FULL"},
    {"55P03", absl::StatusCode::kAborted, "LOCK_TIMEOUT"},
    {"57014", absl::StatusCode::kDeadlineExceeded, "STATEMENT_TIMEOUT"},
    {"57", absl::StatusCode::kUnavailable, kUnavailable},
    {"58", absl::StatusCode::kUnavailable, kUnavailable},
};

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return text;
}

absl::Status FromSqlError(const pqxx::sql_error& error) {
  // libpqxx makes this one without its state.
  const bool refused = dynamic_cast<const pqxx::insufficient_privilege*>(&error) != nullptr;
  const std::string state = refused ? "42501" : error.sqlstate();
  Meaning meaning{.state_prefix = "", .code = absl::StatusCode::kInternal, .reason = ""};
  for (const Meaning& candidate : kMeanings) {
    if (state.starts_with(candidate.state_prefix)) {
      meaning = candidate;
      break;
    }
  }
  absl::Status status = MakeError(
      meaning.code, meaning.reason,
      state.empty() ? fmt::format("database: {}", Trimmed(error.what()))
                    : fmt::format("database: {} (SQLSTATE {})", Trimmed(error.what()), state));
  if (!state.empty()) status.SetPayload(kSqlStateUrl, absl::Cord(state));
  return status;
}

}  // namespace

absl::Status StatusFromPqxx(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const pqxx::in_doubt_error& e) {
    return MakeError(
        absl::StatusCode::kUnknown, "COMMIT_IN_DOUBT",
        fmt::format("the database's answer to a commit was lost: {}", Trimmed(e.what())));
  } catch (const pqxx::broken_connection& e) {
    return MakeError(absl::StatusCode::kUnavailable, kUnavailable,
                     fmt::format("no connection to the database: {}", Trimmed(e.what())));
  } catch (const pqxx::statement_completion_unknown& e) {
    return MakeError(absl::StatusCode::kUnknown, "COMMIT_IN_DOUBT", Trimmed(e.what()));
  } catch (const pqxx::transaction_rollback& e) {
    return MakeError(absl::StatusCode::kAborted, "",
                     fmt::format("database: {}", Trimmed(e.what())));
  } catch (const pqxx::sql_error& e) {
    return FromSqlError(e);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::exception& e) {
    return absl::InternalError(fmt::format("database adapter: {}", e.what()));
  }
}

std::string SqlState(const absl::Status& status) {
  const auto state = status.GetPayload(kSqlStateUrl);
  return state ? std::string(*state) : std::string();
}

bool IsInfrastructureError(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kPermissionDenied: return true;
    default: return false;
  }
}

}  // namespace slipway::store::pg
