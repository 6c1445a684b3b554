#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "slipway/v1/task.grpc.pb.h"

// ReadLog's messages as they are on the wire. The service speaks them itself, because a message
// that gRPC serializes is copied for every follower.
namespace slipway::api {

// kInvalidArgument, reason BAD_FIELD: it is none.
[[nodiscard]] absl::StatusOr<v1::ReadLogRequest> ParseReadLogRequest(const grpc::ByteBuffer& bytes);

[[nodiscard]] grpc::ByteBuffer ToMessage(const v1::ReadLogResponse& response);
// A ReadLogResponse of offset, attempt and data. Refers to `data`, which is valid and does not
// change while `owner` lives; lets `owner` go when gRPC needs the bytes no more.
[[nodiscard]] grpc::ByteBuffer ToMessage(std::uint64_t offset, Attempt attempt,
                                         std::string_view data, std::shared_ptr<const void> owner);

}  // namespace slipway::api
