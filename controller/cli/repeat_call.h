#pragma once

#include <algorithm>
#include <chrono>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "common/status/remedies.h"
#include "controller/cli/client.h"
#include "controller/cli/exit_code.h"

namespace slipway::cli {

// How often a call whose answer got lost is made again.
inline constexpr int kCallTries = 4;

// A unary call as Client::Call makes it, made again while the controller is away or starting.
// REQUIRES: the request has a request_id, which makes that safe.
template <typename Stub, typename Request, typename Response>
[[nodiscard]] absl::Status CallAgain(const Client& client, Stub& stub,
                                     grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                  const Request&, Response*),
                                     const Request& request, Response& response) {
  Duration wait = std::chrono::milliseconds(300);
  for (int left = kCallTries - 1;; --left) {
    response.Clear();
    const absl::Status status = client.Call(stub, method, request, response);
    if (!IsPassing(status) || left == 0) return status;
    const Duration hint = RetryAfter(status).value_or(std::chrono::milliseconds(0));
    if (!client.WaitToRetry(client.stop(), std::max(wait, hint))) return InterruptedError();
    wait *= 2;
  }
}

}  // namespace slipway::cli
