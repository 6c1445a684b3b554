#include "controller/gateway/link_exchange.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace slipway::gateway {
namespace {

constexpr std::size_t kPiece = std::size_t{256} << 10;

Response Busy() {
  return {.status = 503,
          .headers = {{"Content-Type", "text/plain; charset=utf-8"},
                      {"Cache-Control", "no-store"},
                      {"Retry-After", "5"}},
          .body = "too many downloads are under way; try again in a moment\n"};
}

// Reads on the pages' threads, answers on the connection's.
class LinkExchange final : public Exchange, public std::enable_shared_from_this<LinkExchange> {
 public:
  LinkExchange(std::shared_ptr<LinkedPages> pages, HttpMetrics& metrics, Request request,
               std::shared_ptr<void> open, std::shared_ptr<Responder> responder)
      : pages_(std::move(pages)),
        metrics_(metrics),
        request_(std::move(request)),
        open_(std::move(open)),
        responder_(std::move(responder)) {}

  void Start() {
    const bool taken = pages_->Run([self = shared_from_this(), responder = responder_] {
      auto answer = std::make_shared<LinkedAnswer>(self->pages_->Open(self->request_));
      responder->Post([self, answer] { self->Answer(std::move(*answer)); });
    });
    if (!taken) Answer({.response = Busy()});
  }

  void OnWritten() override { ReadNext(); }
  void OnGone() override { responder_.reset(); }

 private:
  void Answer(LinkedAnswer answer) {
    metrics_.Answered(request_.path.substr(0, 2), answer.response.status);
    if (!responder_) return;
    if (!answer.file.valid() || answer.bytes == 0 || request_.method == "HEAD") {
      if (answer.file.valid()) answer.response.length = answer.bytes;
      std::exchange(responder_, nullptr)->Respond(std::move(answer.response));
      return;
    }
    file_ = std::move(answer.file);
    left_ = answer.bytes;
    answer.response.length = left_;
    responder_->Begin(std::move(answer.response));
  }

  void ReadNext() {
    if (!responder_) return;
    const bool taken = pages_->Run([self = shared_from_this(), responder = responder_] {
      std::string piece = self->ReadPiece();
      responder->Post(
          [self, piece = std::move(piece)]() mutable { self->Write(std::move(piece)); });
    });
    if (!taken) Break();
  }

  // On one of the pages' threads, while nothing else is done here.
  std::string ReadPiece() {
    std::string piece(static_cast<std::size_t>(std::min<std::uint64_t>(left_, kPiece)), '\0');
    std::size_t size = 0;
    while (size < piece.size()) {
      const ssize_t got = read(file_.get(), piece.data() + size, piece.size() - size);
      if (got <= 0) return {};
      size += static_cast<std::size_t>(got);
    }
    return piece;
  }

  void Write(std::string piece) {
    if (!responder_) return;
    if (piece.empty()) return Break();
    left_ -= piece.size();
    if (left_ > 0) return responder_->Write(std::move(piece));
    std::exchange(responder_, nullptr)->End(std::move(piece));
  }

  void Break() { std::exchange(responder_, nullptr)->Break(); }

  const std::shared_ptr<LinkedPages> pages_;
  HttpMetrics& metrics_;
  const Request request_;
  const std::shared_ptr<void> open_;
  std::shared_ptr<Responder> responder_;  // null: the client has left, or has its answer
  fs::UniqueFd file_;
  std::uint64_t left_ = 0;
};

}  // namespace

std::shared_ptr<Exchange> StartLink(const std::shared_ptr<LinkedPages>& pages, Request request,
                                    HttpMetrics& metrics, std::shared_ptr<void> open,
                                    std::shared_ptr<Responder> responder) {
  auto exchange = std::make_shared<LinkExchange>(pages, metrics, std::move(request),
                                                 std::move(open), std::move(responder));
  exchange->Start();
  return exchange;
}

}  // namespace slipway::gateway
