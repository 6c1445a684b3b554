#include "common/rpc/result_bytes.h"

#include "common/rpc/convert.h"
#include "common/status/status.h"

namespace slipway::rpc {

std::string EncodeResult(const protocol::AttemptResult& result) {
  return ToProto(result).SerializeAsString();
}

absl::StatusOr<protocol::AttemptResult> DecodeResult(std::string_view bytes) {
  v1::AttemptResult message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return MakeError(absl::StatusCode::kInvalidArgument, "", "not an attempt's result");
  }
  return FromProto(message);
}

}  // namespace slipway::rpc
