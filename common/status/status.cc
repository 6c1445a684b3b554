#include "common/status/status.h"

#include <cerrno>
#include <system_error>

#include "absl/strings/cord.h"
#include "common/base/check.h"

namespace slipway {
namespace {

constexpr char kReasonUrl[] = "slipway/reason";
constexpr char kRemedyUrl[] = "slipway/remedy";

absl::StatusCode CodeOfErrno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR: return absl::StatusCode::kNotFound;
    case EEXIST: return absl::StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS: return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM: return absl::StatusCode::kResourceExhausted;
    case EINVAL:
    case ELOOP:
    case ENAMETOOLONG: return absl::StatusCode::kInvalidArgument;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE: return absl::StatusCode::kUnavailable;
    case ETIMEDOUT: return absl::StatusCode::kDeadlineExceeded;
    default: return absl::StatusCode::kInternal;
  }
}

// Debian's Abseil is built with a string_view of its own.
absl::Cord ToCord(std::string_view text) {
  return absl::Cord(absl::string_view(text.data(), text.size()));
}

}  // namespace

absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message,
                       std::string_view remedy) {
  SLIPWAY_CHECK(code != absl::StatusCode::kOk);
  absl::Status status(code, absl::string_view(message.data(), message.size()));
  if (!reason.empty()) status.SetPayload(kReasonUrl, ToCord(reason));
  if (!remedy.empty()) status.SetPayload(kRemedyUrl, ToCord(remedy));
  return status;
}

ErrorInfo GetErrorInfo(const absl::Status& status) {
  ErrorInfo info;
  if (auto reason = status.GetPayload(kReasonUrl)) info.reason = std::string(*reason);
  if (auto remedy = status.GetPayload(kRemedyUrl)) info.remedy = std::string(*remedy);
  return info;
}

absl::Status WithContext(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status wrapped(status.code(), std::string(context) + ": " + std::string(status.message()));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& payload) { wrapped.SetPayload(url, payload); });
  return wrapped;
}

absl::Status ErrnoError(int error_number, std::string_view what) {
  return {CodeOfErrno(error_number),
          std::string(what) + ": " + std::generic_category().message(error_number)};
}

std::string Describe(const absl::Status& status) {
  const ErrorInfo info = GetErrorInfo(status);
  std::string text(status.message());
  if (!info.remedy.empty()) text += "\n  → " + info.remedy;
  return text;
}

}  // namespace slipway
