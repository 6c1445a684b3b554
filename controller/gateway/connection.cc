#include "controller/gateway/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <utility>

#include "controller/gateway/text.h"

namespace slipway::gateway {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

// Of one read: the first, and at most, of a body that comes fast.
constexpr std::size_t kSmallRead = 2 << 10;
constexpr std::size_t kLargeRead = 64 << 10;
// Bytes of further requests that may wait while one is answered.
constexpr std::size_t kMostAhead = 16 << 10;
// How long a client may take to see that we have closed.
constexpr Duration kLinger = std::chrono::seconds(2);
constexpr Duration kLingerAtStop = std::chrono::milliseconds(250);
// Buffers of one write.
constexpr std::size_t kMostBuffers = 16;

}  // namespace

Connection::Connection(const ConnectionDeps& deps, asio::io_context& io,
                       std::unique_ptr<Socket> socket, std::string remote_ip,
                       std::function<void(Connection&)> on_closed)
    : deps_(deps),
      io_(io),
      socket_(std::move(socket)),
      remote_ip_(std::move(remote_ip)),
      on_closed_(std::move(on_closed)) {}

Connection::~Connection() { Charge(0); }

void Connection::Start() {
  Expect(deps_.limits.header_timeout);
  socket_->Handshake([self = shared_from_this()](const error_code& error) {
    if (self->state_ == State::kClosed) return;
    if (error) return self->Close();
    self->state_ = State::kIdle;
    self->Read();
  });
}

void Connection::OnTick(MonoTime now) {
  if (!deadline_ || now < *deadline_) return;
  switch (state_) {
    case State::kHead:
    case State::kBody:
      return Refuse(absl::DeadlineExceededError("the request came too slowly"), 408);
    default: return Close();
  }
}

void Connection::Drain() {
  draining_ = true;
  keep_alive_ = false;
  if (state_ == State::kHandshake || state_ == State::kIdle) return Close();
  if (exchange_) exchange_->OnDrain();
}

void Connection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  deadline_.reset();
  socket_->Close();
  Charge(0);
  if (const auto exchange = std::exchange(exchange_, nullptr)) exchange->OnGone();
  on_closed_(*this);
}

void Connection::Expect(Duration timeout) { deadline_ = deps_.clock.Mono() + timeout; }

void Connection::Read() {
  if (reading_ || state_ == State::kClosed) return;
  if (state_ == State::kAnswering && pending_.size() >= kMostAhead) return;
  reading_ = true;
  // Room only for who fills it: a body that is announced and does not come costs nothing.
  const bool more = state_ == State::kBody && filled_;
  inbox_.resize(more ? std::min(inbox_.size() * 2, kLargeRead) : kSmallRead);
  if (inbox_.size() < inbox_.capacity() / 4) inbox_.shrink_to_fit();
  socket_->ReadSome(asio::buffer(inbox_),
                    [self = shared_from_this()](const error_code& error, std::size_t size) {
                      self->reading_ = false;
                      self->filled_ = size == self->inbox_.size();
                      self->OnRead(error, size);
                    });
}

void Connection::OnRead(const error_code& error, std::size_t size) {
  if (state_ == State::kClosed) return;
  if (error) return Close();
  if (state_ != State::kClosing) {
    pending_.append(inbox_, 0, size);
    if (state_ != State::kAnswering) return Parse();
  }
  Read();
}

void Connection::Parse() {
  while (!pending_.empty() &&
         (state_ == State::kIdle || state_ == State::kHead || state_ == State::kBody)) {
    const std::size_t before = pending_.size();
    if (!ParseSome()) return;
    if (pending_.size() == before && state_ != State::kAnswering) break;
  }
  Read();
}

bool Connection::ParseSome() {
  if (state_ == State::kIdle) {
    parser_.emplace();
    head_size_ = 0;
    parser_->header_limit(static_cast<std::uint32_t>(deps_.limits.max_header_bytes));
    parser_->body_limit(deps_.limits.max_body_bytes);
    state_ = State::kHead;
    Expect(deps_.limits.header_timeout);
  }
  error_code error;
  const std::size_t taken = parser_->put(asio::buffer(pending_), error);
  pending_.erase(0, taken);
  if (state_ == State::kHead) {
    // The parser's own limit begins anew with each piece that it is given.
    head_size_ += taken;
    const std::size_t most = deps_.limits.max_header_bytes;
    const bool done = parser_->is_header_done();
    if (head_size_ + (done ? 0 : pending_.size()) > most) error = http::error::header_limit;
  }
  if (error == http::error::need_more) {
    error = {};
    // What stands between chunks, and behind them.
    if (taken == 0 && pending_.size() > deps_.limits.max_header_bytes) {
      error = http::error::header_limit;
    }
  }
  if (error) {
    RefuseParse(error);
    return false;
  }
  if (state_ == State::kHead && parser_->is_header_done() && !TakeHead()) return false;
  if (state_ == State::kBody && !Charge(parser_->get().body().size())) {
    Refuse(absl::ResourceExhaustedError("too many requests are being received"), 503);
    return false;
  }
  if (parser_->is_done()) TakeRequest();
  return true;
}

void Connection::RefuseParse(const error_code& error) {
  if (error == http::error::header_limit) {
    return Refuse(absl::ResourceExhaustedError("the headers are too large"), 431);
  }
  if (error == http::error::body_limit) {
    // The head is complete, although the parser does not say so.
    if (state_ == State::kHead) WrongHead();
    return Refuse(absl::ResourceExhaustedError(
                      fmt::format("a request may have {} bytes", deps_.limits.max_body_bytes)),
                  413);
  }
  Refuse(absl::InvalidArgumentError(fmt::format("no HTTP request: {}", error.message())), 400);
}

bool Connection::TakeHead() {
  const std::string wrong = WrongHead();
  if (!wrong.empty()) {
    Refuse(absl::InvalidArgumentError(wrong), 400);
    return false;
  }
  keep_alive_ = parser_->keep_alive() && !draining_;
  state_ = State::kBody;
  Expect(deps_.limits.body_timeout);
  if (http11_ && !parser_->is_done() && pending_.empty() &&
      EqualsIgnoreCase(std::string_view(parser_->get()[http::field::expect]), "100-continue")) {
    Send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  return true;
}

std::string Connection::WrongHead() {
  const auto& head = parser_->get();
  const std::string_view target(head.target());
  http11_ = head.version() == 11;
  request_ = {};
  request_.method = std::string_view(head.method_string());
  request_.path = target.substr(0, target.find('?'));
  if (request_.path.size() < target.size())
    request_.query = target.substr(request_.path.size() + 1);
  request_.remote_ip = remote_ip_;
  if (target.empty() || target[0] != '/') return "the target is no path";
  if (http11_ && head.count(http::field::host) != 1) return "one Host header is needed";
  // Whoever reads the length of a body in another way than a proxy before us mistakes a part of it
  // for a request.
  const std::size_t encodings = head.count(http::field::transfer_encoding);
  if (encodings > 1 ||
      (encodings == 1 &&
       (!http11_ ||
        !EqualsIgnoreCase(std::string_view(head[http::field::transfer_encoding]), "chunked")))) {
    return "Transfer-Encoding: only chunked, once";
  }
  for (const auto& field : head) {
    const std::string_view name(field.name_string());
    for (std::size_t i = 0; i < kHeaderNames.size(); ++i) {
      if (!EqualsIgnoreCase(name, kHeaderNames.at(i))) continue;
      std::string& value = request_.headers.at(i);
      const bool list = kHeaderNames.at(i).ends_with("accept-encoding");
      if (!value.empty() && !list) return fmt::format("{}: given twice", kHeaderNames.at(i));
      if (!value.empty()) value += ", ";
      value += std::string_view(field.value());
    }
  }
  return "";
}

void Connection::TakeRequest() {
  request_.body = std::move(parser_->get().body());
  parser_.reset();
  Charge(0);
  if (draining_) return Refuse(absl::UnavailableError("the controller is stopping"), 503);
  state_ = State::kAnswering;
  deadline_.reset();
  Request request = std::move(request_);
  request_ = {};
  request_.method = request.method;
  exchange_ = deps_.router.Answer(std::move(request), shared_from_this());
}

void Connection::Refuse(const absl::Status& why, int status) {
  parser_.reset();
  pending_.clear();
  Charge(0);
  state_ = State::kAnswering;
  deadline_.reset();
  keep_alive_ = false;
  Respond(deps_.router.Refuse(request_, why, status));
  // Goes on reading, so that the client sees the answer before it sees the end.
  Read();
}

bool Connection::Charge(std::size_t bytes) {
  // Unsigned arithmetic takes a smaller number as well.
  const std::size_t all = deps_.buffered.fetch_add(bytes - charged_) + (bytes - charged_);
  charged_ = bytes;
  return all <= deps_.limits.max_buffered_bytes || bytes == 0;
}

void Connection::Respond(Response response) {
  std::string body = std::move(response.body);
  response.body.clear();
  std::swap(response.body, body);
  SendHead(response, Framing::kLength);
  last_ = true;
  if (request_.method != "HEAD" && !response.body.empty()) {
    out_.push_back(std::move(response.body));
  }
  exchange_.reset();
  Flush();
}

void Connection::Begin(Response head) {
  framing_ = head.length ? Framing::kLength : http11_ ? Framing::kChunked : Framing::kUntilClose;
  if (framing_ == Framing::kUntilClose) keep_alive_ = false;
  SendHead(head, framing_);
  Flush();
}

void Connection::Write(std::string piece) {
  SendChunk(std::move(piece));
  Flush();
}

void Connection::End(std::string last_piece) {
  SendChunk(std::move(last_piece));
  if (framing_ == Framing::kChunked) out_.emplace_back("0\r\n\r\n");
  last_ = true;
  exchange_.reset();
  Flush();
}

void Connection::Break() { Close(); }

void Connection::Post(std::function<void()> work) { asio::post(io_, std::move(work)); }

void Connection::SendHead(const Response& response, Framing framing) {
  const auto now = std::chrono::floor<std::chrono::seconds>(deps_.clock.Wall().time_since_epoch());
  out_.push_back(ResponseHead(response, framing, keep_alive_, HttpDate(now.count())));
}

void Connection::SendChunk(std::string piece) {
  if (framing_ != Framing::kChunked) {
    out_.push_back(std::move(piece));
    return;
  }
  out_.push_back(fmt::format("{:x}\r\n", piece.size()));
  out_.push_back(std::move(piece));
  out_.emplace_back("\r\n");
}

void Connection::Send(std::string bytes) {
  out_.push_back(std::move(bytes));
  Flush();
}

void Connection::Flush() {
  if (writing_ || state_ == State::kClosed) return;
  writing_ = true;
  if (state_ == State::kAnswering) Expect(deps_.limits.write_timeout);
  std::vector<asio::const_buffer> buffers;
  for (const std::string& bytes : out_) {
    if (buffers.size() == kMostBuffers) break;
    buffers.emplace_back(asio::buffer(bytes));
  }
  buffers.front() += out_offset_;
  socket_->WriteSome(
      buffers, [self = shared_from_this()](const error_code& error, std::size_t size) {
        self->writing_ = false;
        if (self->state_ == State::kClosed) return;
        if (error) return self->Close();
        self->out_offset_ += size;
        while (!self->out_.empty() && self->out_offset_ >= self->out_.front().size()) {
          self->out_offset_ -= self->out_.front().size();
          self->out_.pop_front();
        }
        if (!self->out_.empty()) return self->Flush();
        self->OnFlushed();
      });
}

void Connection::OnFlushed() {
  // Of "100 Continue".
  if (state_ != State::kAnswering) return;
  deadline_.reset();
  if (last_) return FinishAnswer();
  if (exchange_) exchange_->OnWritten();
}

void Connection::FinishAnswer() {
  last_ = false;
  framing_ = Framing::kLength;
  request_ = {};
  if (keep_alive_ && !draining_) {
    state_ = State::kIdle;
    Expect(deps_.limits.idle_timeout);
    return Parse();
  }
  // A close with bytes unread would take the answer from the client's hands.
  state_ = State::kClosing;
  pending_.clear();
  Expect(draining_ ? kLingerAtStop : kLinger);
  socket_->FinishWrites();
  Read();
}

}  // namespace slipway::gateway
