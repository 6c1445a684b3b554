#include "controller/gateway/pages.h"

#include <fmt/format.h>

#include <string>
#include <utility>

#include "controller/gateway/connect.h"
#include "controller/gateway/link_exchange.h"

namespace slipway::gateway {
namespace {

Response Page(int status, std::string text) {
  return {.status = status,
          .headers = {{"Content-Type", "text/plain; charset=utf-8"}, {"Cache-Control", "no-store"}},
          .body = std::move(text)};
}

// Waits for the word whether the controller is ready.
class ReadyExchange final : public Exchange, public std::enable_shared_from_this<ReadyExchange> {
 public:
  ReadyExchange(HttpMetrics& metrics, std::shared_ptr<Responder> responder)
      : metrics_(metrics), responder_(std::move(responder)) {}

  void Start(const Readiness& ready, std::shared_ptr<void> open) {
    ready([open = std::move(open), self = shared_from_this(),
           responder = responder_](const absl::Status& status) {
      responder->Post([self, status] { self->Answer(status); });
    });
  }

  void OnGone() override { responder_.reset(); }

 private:
  void Answer(const absl::Status& status) {
    const int code = status.ok() ? 200 : 503;
    metrics_.Answered("/readyz", code);
    const auto responder = std::exchange(responder_, nullptr);
    if (!responder) return;
    responder->Respond(
        Page(code, status.ok() ? "ready\n"
                               : fmt::format("not ready: {}\n", std::string(status.message()))));
  }

  HttpMetrics& metrics_;
  std::shared_ptr<Responder> responder_;
};

}  // namespace

std::shared_ptr<Exchange> Pages::Answer(Request request,
                                        std::shared_ptr<Responder> responder) const {
  const bool secret = linked_ && request.path.rfind(kLinkPrefix, 0) == 0;
  const bool linked = secret || (linked_ && request.path.rfind(kCodePrefix, 0) == 0);
  const bool known = linked || request.path == "/healthz" || request.path == "/readyz" ||
                     request.path == "/metrics";
  if (!known) {
    metrics_.Answered("other", 404);
    // Clients of Connect make `unimplemented` of it, whose object this is.
    Response response =
        Page(404, ErrorJson({.code = absl::StatusCode::kUnimplemented,
                             .message = "nothing is served under this path; calls are POST "
                                        "/slipway.v1.Service/Method, see docs/http.md",
                             .details = {}}));
    response.headers[0].second = "application/json";
    responder->Respond(std::move(response));
    return nullptr;
  }
  // A page may ask its visitors for a password.
  const bool posts = secret && request.method == "POST";
  if (request.method != "GET" && request.method != "HEAD" && !posts) {
    metrics_.Answered(linked ? request.path.substr(0, 2) : request.path, 405);
    Response response = Page(405, fmt::format("{} is not allowed here\n", request.method));
    response.headers.emplace_back("Allow", secret ? "GET, HEAD, POST" : "GET, HEAD");
    responder->Respond(std::move(response));
    return nullptr;
  }
  if (linked) {
    return StartLink(linked_, std::move(request), metrics_, open_.Open(), std::move(responder));
  }
  if (request.path == "/readyz") {
    auto exchange = std::make_shared<ReadyExchange>(metrics_, std::move(responder));
    exchange->Start(ready_, open_.Open());
    return exchange;
  }
  metrics_.Answered(request.path, 200);
  Response response = Page(200, "alive\n");
  if (request.path == "/metrics") {
    response.headers[0].second = "text/plain; version=0.0.4; charset=utf-8";
    response.body = registry_.Text();
  }
  responder->Respond(std::move(response));
  return nullptr;
}

}  // namespace slipway::gateway
