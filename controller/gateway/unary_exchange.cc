#include <fmt/format.h>

#include <utility>

#include "common/status/status.h"
#include "controller/gateway/envelope.h"
#include "controller/gateway/gzip.h"
#include "controller/gateway/rpc.h"
#include "controller/gateway/transcoder.h"

namespace slipway::gateway {
namespace {

void AddTrailers(const Metadata& trailers, HeaderList& headers) {
  for (const auto& [name, value] : trailers) {
    headers.emplace_back("Trailer-" + name, name.ends_with("-bin") ? Base64(value) : value);
  }
}

// One call of the gRPC server, whose answer is one response.
class UnaryExchange final : public Exchange, public std::enable_shared_from_this<UnaryExchange> {
 public:
  UnaryExchange(const RpcDeps& deps, RpcRequest request, std::shared_ptr<Responder> responder)
      : deps_(deps), request_(std::move(request)), responder_(std::move(responder)) {}

  // False: answered already.
  bool Start() {
    const auto message =
        RequestMessage(deps_, request_, std::move(request_.message), request_.gzip_request);
    if (!message.ok()) {
      Fail({.failure = FailureOf(message.status()), .retry_after = {}, .trailers = {}});
      return false;
    }
    Caller caller = std::move(request_.caller);
    caller.timeout =
        std::min(caller.timeout.value_or(deps_.limits.unary_timeout), deps_.limits.unary_timeout);
    call_ = UnaryCall::Start(
        deps_.grpc, request_.method->path, caller, *message,
        [self = shared_from_this(), responder = responder_](CallEnd end, std::string response) {
          responder->Post([self, end = std::move(end), response = std::move(response)]() mutable {
            self->Finish(std::move(end), std::move(response));
          });
        });
    return true;
  }

  void OnGone() override {
    responder_.reset();
    call_->Cancel();
  }

 private:
  void Finish(CallEnd end, std::string bytes) {
    if (!responder_) {
      Count(absl::StatusCode::kCancelled);
      return;
    }
    if (end.failure) return Fail(end);
    auto text = ResponseText(*request_.method, request_.media.codec, std::move(bytes));
    if (!text.ok()) {
      end.failure = FailureOf(text.status());
      return Fail(end);
    }
    Response response{.status = 200, .headers = std::move(request_.headers), .body = {}};
    response.headers.emplace_back("Content-Type", ContentTypeOf(request_.media));
    response.headers.emplace_back("Cache-Control", "no-store");
    AddTrailers(end.trailers, response.headers);
    response.body = *std::move(text);
    Send(std::move(response), absl::StatusCode::kOk);
  }

  void Fail(const CallEnd& end) {
    Response response = FailureResponse(request_.media, *end.failure, std::move(request_.headers));
    AddTrailers(end.trailers, response.headers);
    if (end.retry_after) {
      const auto seconds = std::chrono::ceil<std::chrono::seconds>(*end.retry_after);
      response.headers.emplace_back("Retry-After", std::to_string(seconds.count()));
    }
    Send(std::move(response), end.failure->code);
  }

  void Send(Response response, absl::StatusCode code) {
    if (request_.gzip_answer && response.body.size() >= kGzipFrom) {
      response.body = Gzip(response.body);
      response.headers.emplace_back("Content-Encoding", "gzip");
    }
    Count(code);
    std::exchange(responder_, nullptr)->Respond(std::move(response));
  }

  void Count(absl::StatusCode code) {
    deps_.metrics.Called(*request_.method, code, deps_.clock.Mono() - request_.began);
  }

  const RpcDeps deps_;
  RpcRequest request_;
  std::shared_ptr<Responder> responder_;  // null: the client has left, or has its answer
  std::shared_ptr<UnaryCall> call_;
};

}  // namespace

std::shared_ptr<Exchange> StartUnary(const RpcDeps& deps, RpcRequest request,
                                     std::shared_ptr<Responder> responder) {
  auto exchange = std::make_shared<UnaryExchange>(deps, std::move(request), std::move(responder));
  if (!exchange->Start()) return nullptr;
  return exchange;
}

Response FailureResponse(const Media& media, const Failure& failure, HeaderList headers) {
  Response response{.status = 200, .headers = std::move(headers), .body = {}};
  response.headers.emplace_back("Cache-Control", "no-store");
  if (media.stream) {
    response.headers.emplace_back("Content-Type", ContentTypeOf(media));
    response.headers.emplace_back("X-Accel-Buffering", "no");
    response.body = Envelope(kEndOfStream, EndOfStreamJson(&failure, {}));
  } else {
    response.status = HttpStatusOf(failure.code);
    response.headers.emplace_back("Content-Type", "application/json");
    response.body = ErrorJson(failure);
  }
  return response;
}

absl::StatusOr<std::string> RequestMessage(const RpcDeps& deps, const RpcRequest& request,
                                           std::string packed, bool gzip) {
  const std::size_t most = deps.limits.max_message_bytes;
  // An empty body is an empty message in any compression.
  if (gzip && !packed.empty()) {
    SLIPWAY_ASSIGN_OR_RETURN(packed, Gunzip(packed, most));
  }
  if (packed.size() > most) {
    return absl::ResourceExhaustedError(
        fmt::format("the message has {} bytes, at most {} are taken", packed.size(), most));
  }
  return RequestBytes(*request.method, request.media.codec, std::move(packed));
}

}  // namespace slipway::gateway
