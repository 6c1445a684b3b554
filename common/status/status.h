#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// absl::Status plus the three things a person needs of an error: a reason a program can switch on,
// what is wrong, and what to do about it.
namespace slipway {

// What leaves the process of a failed *call* (a failed *task* is a protocol::Failure).
struct ErrorInfo {
  // UPPER_SNAKE_CASE from the list in docs/errors.md; empty when nobody would switch on it.
  std::string reason;
  // One sentence telling the reader what to do; empty when the message says it already.
  std::string remedy;
};

// A status whose message says what is wrong, carrying `reason` and `remedy` as payloads.
// REQUIRES: code is not kOk.
[[nodiscard]] absl::Status MakeError(absl::StatusCode code, std::string_view reason,
                                     std::string_view message, std::string_view remedy = "");

// The payloads of a status made by MakeError; empty fields otherwise.
[[nodiscard]] ErrorInfo GetErrorInfo(const absl::Status& status);

// The status with "`context`: " before its message, its code and payloads kept. Ok stays ok.
[[nodiscard]] absl::Status WithContext(const absl::Status& status, std::string_view context);

// strerror as a status: ENOENT → kNotFound, EEXIST → kAlreadyExists, EACCES/EPERM →
// kPermissionDenied, ENOSPC/EDQUOT/EMFILE → kResourceExhausted, otherwise kInternal.
[[nodiscard]] absl::Status ErrnoError(int error_number, std::string_view what);

// Message and remedy as a person reads them: "message\n  → remedy" (no second line without one).
[[nodiscard]] std::string Describe(const absl::Status& status);

}  // namespace slipway

#define SLIPWAY_RETURN_IF_ERROR(expression)                                   \
  do {                                                                        \
    if (::absl::Status slipway_status_ = (expression); !slipway_status_.ok()) \
      return slipway_status_;                                                 \
  } while (false)

#define SLIPWAY_CONCAT_INNER_(a, b) a##b
#define SLIPWAY_CONCAT_(a, b) SLIPWAY_CONCAT_INNER_(a, b)
#define SLIPWAY_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expression) \
  auto tmp = (expression);                                   \
  if (!tmp.ok()) return std::move(tmp).status();             \
  lhs = *std::move(tmp)
// SLIPWAY_ASSIGN_OR_RETURN(auto value, CallThatGivesStatusOr());
#define SLIPWAY_ASSIGN_OR_RETURN(lhs, expression) \
  SLIPWAY_ASSIGN_OR_RETURN_IMPL_(SLIPWAY_CONCAT_(slipway_or_, __LINE__), lhs, expression)
