#include "common/rpc/grpc_status.h"

#include <chrono>
#include <string>
#include <utility>

#include "common/rpc/convert.h"
#include "common/rpc/text.h"
#include "common/status/remedies.h"
#include "common/status/status.h"
#include "slipway/v1/common.pb.h"

namespace slipway::rpc {

namespace {

v1::ErrorDetail DetailOf(const absl::Status& status) {
  const ErrorInfo info = GetErrorInfo(status);
  v1::ErrorDetail detail;
  const Remedy known = RemedyFor(info.reason).value_or(Remedy());
  detail.set_reason(info.reason);
  detail.set_remedy(info.remedy.empty() ? std::string(known.english) : ValidUtf8(info.remedy));
  detail.set_remedy_zh(std::string(known.chinese));
  if (const auto wait = RetryAfter(status)) {
    *detail.mutable_retry_after() = ToProtoDuration(*wait);
  }
  return detail;
}

absl::Status FromDetail(absl::StatusCode code, std::string_view message,
                        const v1::ErrorDetail& detail) {
  absl::Status status =
      WithRemedyZh(MakeError(code, detail.reason(), message, detail.remedy()), detail.remedy_zh());
  if (!detail.has_retry_after()) return status;
  return WithRetryAfter(std::move(status), std::chrono::duration_cast<std::chrono::milliseconds>(
                                               FromProto(detail.retry_after())));
}

}  // namespace

grpc::Status ToGrpc(grpc::ServerContextBase& context, const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const ErrorInfo info = GetErrorInfo(status);
  if (!info.reason.empty() || !info.remedy.empty()) {
    context.AddTrailingMetadata(kErrorTrailer, DetailOf(status).SerializeAsString());
  }
  if (const auto wait = RetryAfter(status)) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms", std::to_string(wait->count()));
  }
  return {static_cast<grpc::StatusCode>(status.raw_code()),
          ValidUtf8(std::string(status.message()))};
}

v1::CallError ToCallError(const absl::Status& status) {
  v1::CallError error;
  error.set_code(status.raw_code());
  error.set_message(ValidUtf8(std::string(status.message())));
  *error.mutable_detail() = DetailOf(status);
  return error;
}

absl::Status FromCallError(const v1::CallError& error) {
  return FromDetail(static_cast<absl::StatusCode>(error.code()), error.message(), error.detail());
}

absl::Status FromGrpc(const grpc::ClientContext& context, const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  v1::ErrorDetail detail;
  const auto& trailers = context.GetServerTrailingMetadata();
  if (const auto it = trailers.find(kErrorTrailer); it != trailers.end()) {
    detail.ParseFromArray(it->second.data(), static_cast<int>(it->second.size()));
  }
  return FromDetail(static_cast<absl::StatusCode>(status.error_code()), status.error_message(),
                    detail);
}

}  // namespace slipway::rpc
