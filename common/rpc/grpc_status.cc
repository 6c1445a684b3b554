#include "common/rpc/grpc_status.h"

#include <string>

#include "common/rpc/text.h"
#include "common/status/remedies.h"
#include "common/status/status.h"
#include "slipway/v1/common.pb.h"

namespace slipway::rpc {

namespace {

v1::ErrorDetail DetailOf(const ErrorInfo& info) {
  v1::ErrorDetail detail;
  const Remedy known = RemedyFor(info.reason).value_or(Remedy());
  detail.set_reason(info.reason);
  detail.set_remedy(info.remedy.empty() ? std::string(known.english) : ValidUtf8(info.remedy));
  detail.set_remedy_zh(std::string(known.chinese));
  return detail;
}

}  // namespace

grpc::Status ToGrpc(grpc::ServerContextBase& context, const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const ErrorInfo info = GetErrorInfo(status);
  if (!info.reason.empty() || !info.remedy.empty()) {
    context.AddTrailingMetadata(kErrorTrailer, DetailOf(info).SerializeAsString());
  }
  return {static_cast<grpc::StatusCode>(status.raw_code()),
          ValidUtf8(std::string(status.message()))};
}

v1::CallError ToCallError(const absl::Status& status) {
  v1::CallError error;
  error.set_code(status.raw_code());
  error.set_message(ValidUtf8(std::string(status.message())));
  *error.mutable_detail() = DetailOf(GetErrorInfo(status));
  return error;
}

absl::Status FromCallError(const v1::CallError& error) {
  return WithRemedyZh(MakeError(static_cast<absl::StatusCode>(error.code()),
                                error.detail().reason(), error.message(), error.detail().remedy()),
                      error.detail().remedy_zh());
}

absl::Status FromGrpc(const grpc::ClientContext& context, const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  v1::ErrorDetail detail;
  const auto& trailers = context.GetServerTrailingMetadata();
  if (const auto it = trailers.find(kErrorTrailer); it != trailers.end()) {
    detail.ParseFromArray(it->second.data(), static_cast<int>(it->second.size()));
  }
  return WithRemedyZh(MakeError(static_cast<absl::StatusCode>(status.error_code()), detail.reason(),
                                status.error_message(), detail.remedy()),
                      detail.remedy_zh());
}

}  // namespace slipway::rpc
