#include <optional>
#include <utility>

#include "common/status/status.h"
#include "controller/gateway/envelope.h"
#include "controller/gateway/gzip.h"
#include "controller/gateway/rpc.h"
#include "controller/gateway/transcoder.h"

namespace slipway::gateway {
namespace {

// One server stream. One message is asked for at a time, and the next one only when the client has
// taken it from us: so whoever reads slowly holds one message here and one at the service. The end
// envelope is sent whatever ends the stream, except that nobody is there to read it.
class StreamExchange final : public Exchange, public std::enable_shared_from_this<StreamExchange> {
 public:
  StreamExchange(const RpcDeps& deps, RpcRequest request, std::shared_ptr<Responder> responder)
      : deps_(deps), request_(std::move(request)), responder_(std::move(responder)) {
    deps_.metrics.streams.fetch_add(1);
  }
  ~StreamExchange() override { deps_.metrics.streams.fetch_sub(1); }
  StreamExchange(const StreamExchange&) = delete;
  StreamExchange& operator=(const StreamExchange&) = delete;

  void Start(std::string_view message) {
    Response head{.status = 200, .headers = std::move(request_.headers), .body = {}};
    head.headers.emplace_back("Content-Type", ContentTypeOf(request_.media));
    head.headers.emplace_back("Cache-Control", "no-store");
    head.headers.emplace_back("X-Accel-Buffering", "no");
    if (request_.gzip_answer) head.headers.emplace_back("Connect-Content-Encoding", "gzip");
    writing_ = true;
    responder_->Begin(std::move(head));
    call_ = StreamCall::Start(deps_.grpc, request_.method->path, request_.caller, message,
                              std::make_shared<Listener>(shared_from_this(), responder_));
  }

  void OnWritten() override {
    writing_ = false;
    if (end_) {
      End();
    } else {
      call_->Next();
    }
  }

  void OnGone() override {
    responder_.reset();
    writing_ = false;
    if (call_) call_->Cancel();
  }

  void OnDrain() override {
    if (!early_) {
      early_ = Failure{.code = absl::StatusCode::kUnavailable,
                       .message = "the controller is stopping",
                       .details = {}};
    }
    call_->Cancel();
  }

 private:
  // Brings what gRPC says to the connection's thread.
  class Listener final : public StreamCall::Listener {
   public:
    Listener(std::shared_ptr<StreamExchange> exchange, std::shared_ptr<Responder> responder)
        : exchange_(std::move(exchange)), responder_(std::move(responder)) {}
    void OnMessage(std::string message) override {
      responder_->Post([exchange = exchange_, message = std::move(message)]() mutable {
        exchange->Message(std::move(message));
      });
    }
    void OnEnd(CallEnd end) override {
      responder_->Post([exchange = exchange_, end = std::move(end)]() mutable {
        exchange->Ended(std::move(end));
      });
    }

   private:
    const std::shared_ptr<StreamExchange> exchange_;
    const std::shared_ptr<Responder> responder_;
  };

  void Message(std::string bytes) {
    if (!responder_) return;
    auto text = ResponseText(*request_.method, request_.media.codec, std::move(bytes));
    if (!text.ok()) {
      broken_ = FailureOf(text.status());
      call_->Cancel();
      return;
    }
    std::uint8_t flags = 0;
    if (request_.gzip_answer && text->size() >= kGzipFrom) {
      *text = Gzip(*text);
      flags = kCompressed;
    }
    writing_ = true;
    responder_->Write(Envelope(flags, *text));
  }

  void Ended(CallEnd end) {
    end_ = std::move(end);
    if (!writing_) End();
  }

  void End() {
    // A stream that has ended by itself meanwhile ends as it says.
    const bool cancelled = end_->failure && end_->failure->code == absl::StatusCode::kCancelled;
    if (early_ && cancelled) end_->failure = early_;
    if (broken_) end_->failure = broken_;
    const auto code = !responder_     ? absl::StatusCode::kCancelled
                      : end_->failure ? end_->failure->code
                                      : absl::StatusCode::kOk;
    deps_.metrics.Called(*request_.method, code, deps_.clock.Mono() - request_.began);
    const auto responder = std::exchange(responder_, nullptr);
    call_.reset();
    if (!responder) return;
    const Failure* const failure = end_->failure ? &*end_->failure : nullptr;
    responder->End(Envelope(kEndOfStream, EndOfStreamJson(failure, end_->trailers)));
  }

  const RpcDeps deps_;
  RpcRequest request_;
  std::shared_ptr<Responder> responder_;  // null: the client has left, or has its answer
  std::shared_ptr<StreamCall> call_;
  bool writing_ = false;
  std::optional<CallEnd> end_;     // of the call; told once nothing is being written
  std::optional<Failure> early_;   // why we end it
  std::optional<Failure> broken_;  // the same; a message was left out
};

absl::StatusOr<std::string> OnlyMessage(const RpcDeps& deps, RpcRequest& request) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto envelope,
                           ParseOnlyEnvelope(request.message, deps.limits.max_message_bytes));
  if (envelope.compressed && !request.gzip_request) {
    return absl::InvalidArgumentError(
        "the envelope says compressed, Connect-Content-Encoding does not");
  }
  return RequestMessage(deps, request, std::string(envelope.bytes), envelope.compressed);
}

}  // namespace

std::shared_ptr<Exchange> StartStream(const RpcDeps& deps, RpcRequest request,
                                      std::shared_ptr<Responder> responder) {
  auto message = OnlyMessage(deps, request);
  if (message.ok() && deps.metrics.streams >= static_cast<std::int64_t>(deps.limits.max_streams)) {
    message = absl::ResourceExhaustedError("too many streams are open");
  }
  if (!message.ok()) {
    deps.metrics.Called(*request.method, message.status().code(),
                        deps.clock.Mono() - request.began);
    responder->Respond(
        FailureResponse(request.media, FailureOf(message.status()), std::move(request.headers)));
    return nullptr;
  }
  request.message = {};
  auto exchange = std::make_shared<StreamExchange>(deps, std::move(request), std::move(responder));
  exchange->Start(*message);
  return exchange;
}

}  // namespace slipway::gateway
