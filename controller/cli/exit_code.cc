#include "controller/cli/exit_code.h"

#include "absl/strings/cord.h"

namespace slipway::cli {
namespace {

constexpr char kOriginUrl[] = "slipway.cli/origin";
constexpr char kUsage[] = "usage";
constexpr char kController[] = "controller";
constexpr char kLogin[] = "login";
constexpr char kInterrupt[] = "interrupt";

absl::Status From(const char* origin, absl::Status status) {
  if (!status.ok()) status.SetPayload(kOriginUrl, absl::Cord(origin));
  return status;
}

}  // namespace

absl::Status UsageError(absl::Status status) { return From(kUsage, std::move(status)); }
absl::Status ControllerError(absl::Status status) { return From(kController, std::move(status)); }
absl::Status NotLoggedInError(absl::Status status) { return From(kLogin, std::move(status)); }
bool IsControllerError(const absl::Status& status) {
  const auto origin = status.GetPayload(kOriginUrl);
  return origin && *origin == kController;
}

absl::Status InterruptedError() { return From(kInterrupt, absl::CancelledError("interrupted")); }

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return ExitCode::kOk;
  const auto origin = status.GetPayload(kOriginUrl);
  if (!origin) return ExitCode::kFailed;
  if (*origin == kUsage) return ExitCode::kUsage;
  if (*origin == kLogin) return ExitCode::kNotLoggedIn;
  if (*origin == kController) {
    return status.code() == absl::StatusCode::kPermissionDenied ? ExitCode::kForbidden
                                                                : ExitCode::kController;
  }
  return ExitCode::kInterrupted;
}

bool IsFinished(v1::TaskState state) {
  switch (state) {
    case v1::TASK_STATE_SUCCEEDED:
    case v1::TASK_STATE_FAILED:
    case v1::TASK_STATE_CANCELED:
    case v1::TASK_STATE_SKIPPED:
    case v1::TASK_STATE_UNKNOWN: return true;
    default: return false;
  }
}

ExitCode ExitCodeOf(const google::protobuf::RepeatedPtrField<v1::Task>& tasks) {
  ExitCode code = ExitCode::kOk;
  for (const v1::Task& task : tasks) {
    if (task.state() == v1::TASK_STATE_UNKNOWN) return ExitCode::kOutcomeUnknown;
    if (task.state() != v1::TASK_STATE_SUCCEEDED) code = ExitCode::kFailed;
  }
  return code;
}

}  // namespace slipway::cli
