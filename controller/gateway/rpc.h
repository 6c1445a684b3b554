#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/gateway/connect.h"
#include "controller/gateway/exchange.h"
#include "controller/gateway/grpc_call.h"
#include "controller/gateway/http_message.h"
#include "controller/gateway/http_metrics.h"
#include "controller/gateway/limits.h"
#include "controller/gateway/method_table.h"

// How calls are answered, unary ones and streams.
namespace slipway::gateway {

// What every call stands on. All must outlive it.
struct RpcDeps {
  GrpcSide& grpc;
  HttpMetrics& metrics;
  const Limits& limits;
  const Clock& clock;
};

// A call as far as its method and its headers tell.
struct RpcRequest {
  const Method* method = nullptr;
  Media media;
  Caller caller;
  bool gzip_request = false;
  bool gzip_answer = false;
  std::string message;  // of a stream: with its envelope
  HeaderList headers;   // of whatever is answered: CORS
  MonoTime began;
};

// Null: it was answered at once.
[[nodiscard]] std::shared_ptr<Exchange> StartUnary(const RpcDeps& deps, RpcRequest request,
                                                   std::shared_ptr<Responder> responder);
[[nodiscard]] std::shared_ptr<Exchange> StartStream(const RpcDeps& deps, RpcRequest request,
                                                    std::shared_ptr<Responder> responder);

// A failure in the form that the media has for it.
[[nodiscard]] Response FailureResponse(const Media& media, const Failure& failure,
                                       HeaderList headers);

// The message within the limits, unpacked and as gRPC takes it.
[[nodiscard]] absl::StatusOr<std::string> RequestMessage(const RpcDeps& deps,
                                                         const RpcRequest& request,
                                                         std::string packed, bool gzip);

// Smaller messages are not worth packing.
inline constexpr std::size_t kGzipFrom = 1 << 10;

}  // namespace slipway::gateway
