#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"
#include "slipway/v1/common.pb.h"

// The one place where statuses cross gRPC. Code and message travel as they are; reason and remedies
// travel as a slipway.v1.ErrorDetail in the trailing metadata `slipway-error-bin`. What the status
// does not say, in English or Chinese, is added from the table of remedies (common/status).
namespace slipway::rpc {

inline constexpr char kErrorTrailer[] = "slipway-error-bin";

// Server side: adds the trailer to `context` and gives what Finish() takes. A message that is not
// UTF-8 is made so, because HTTP/2 peers refuse the whole answer otherwise.
[[nodiscard]] grpc::Status ToGrpc(grpc::ServerContextBase& context, const absl::Status& status);

// Client side, after the call has ended; GetRemedyZh has the Chinese remedy. A transport failure
// (no answer at all) says in words that `peer` does not answer.
[[nodiscard]] absl::Status FromGrpc(const grpc::ClientContext& context, const grpc::Status& status);

// One of several outcomes in one answer, with all that a status of a call carries. REQUIRES: not
// ok.
[[nodiscard]] v1::CallError ToCallError(const absl::Status& status);
// REQUIRES: the code is not 0.
[[nodiscard]] absl::Status FromCallError(const v1::CallError& error);

}  // namespace slipway::rpc
