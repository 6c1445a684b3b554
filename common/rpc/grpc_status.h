#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"

// The one place where statuses cross gRPC. Code and message travel as they are; reason and remedy
// travel as a slipway.v1.ErrorDetail in the trailing metadata `slipway-error-bin`.
namespace slipway::rpc {

inline constexpr char kErrorTrailer[] = "slipway-error-bin";

// Server side: adds the trailer to `context` and gives what Finish() takes. A message that is not
// UTF-8 is made so, because HTTP/2 peers refuse the whole answer otherwise.
[[nodiscard]] grpc::Status ToGrpc(grpc::ServerContextBase& context, const absl::Status& status);

// Client side, after the call has ended. A transport failure (no answer at all) says in words that
// `peer` does not answer.
[[nodiscard]] absl::Status FromGrpc(const grpc::ClientContext& context, const grpc::Status& status);

}  // namespace slipway::rpc
