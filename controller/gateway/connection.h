#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/base/time.h"
#include "controller/gateway/exchange.h"
#include "controller/gateway/http_message.h"
#include "controller/gateway/limits.h"
#include "controller/gateway/router.h"
#include "controller/gateway/socket.h"

namespace slipway::gateway {

// What all connections of a server share. Must outlive them.
struct ConnectionDeps {
  const Router& router;
  const Limits& limits;
  const Clock& clock;
  std::atomic<std::size_t>& buffered;  // bytes of bodies that are being received
};

// One client: reads a request, has it answered, reads the next. Requests that come meanwhile wait
// unread, but for a few; a read is always open, so that a client who leaves is noticed, and what it
// asked for is cancelled.
//
// Owned by its server and by what is under way. Confined to the thread of `io`, but for Post.
class Connection final : public Responder, public std::enable_shared_from_this<Connection> {
 public:
  Connection(const ConnectionDeps& deps, boost::asio::io_context& io,
             std::unique_ptr<Socket> socket, std::string remote_ip,
             std::function<void(Connection&)> on_closed);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Start();
  // Ends what takes too long.
  void OnTick(MonoTime now);
  // Takes no further request; ends what is open with an answer.
  void Drain();
  void Close();

  void Respond(Response response) override;
  void Begin(Response head) override;
  void Write(std::string piece) override;
  void End(std::string last_piece) override;
  void Break() override;
  void Post(std::function<void()> work) override;

 private:
  enum class State { kHandshake, kIdle, kHead, kBody, kAnswering, kClosing, kClosed };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void Read();
  void OnRead(const boost::system::error_code& error, std::size_t size);
  // Whatever can be made of the bytes that are here.
  void Parse();
  // False: answered with a refusal.
  bool ParseSome();
  bool TakeHead();
  // Empty: the head is one we take.
  std::string WrongHead();
  void TakeRequest();
  void Refuse(const absl::Status& why, int status);
  void RefuseParse(const boost::system::error_code& error);
  // Of all bodies that are being received; false: there are too many.
  bool Charge(std::size_t bytes);

  void SendHead(const Response& response, Framing framing);
  void SendChunk(std::string piece);
  void Send(std::string bytes);
  void Flush();
  void OnFlushed();
  void FinishAnswer();
  void Expect(Duration timeout);

  const ConnectionDeps deps_;
  boost::asio::io_context& io_;
  const std::unique_ptr<Socket> socket_;
  const std::string remote_ip_;
  const std::function<void(Connection&)> on_closed_;

  State state_ = State::kHandshake;
  std::optional<MonoTime> deadline_;
  bool draining_ = false;

  bool reading_ = false;
  std::string inbox_;    // of the read that is open
  bool filled_ = false;  // by the last read
  std::string pending_;  // read and not parsed yet
  std::optional<Parser> parser_;
  std::size_t head_size_ = 0;
  std::size_t charged_ = 0;
  Request request_;
  bool keep_alive_ = false;
  bool http11_ = true;

  std::shared_ptr<Exchange> exchange_;
  Framing framing_ = Framing::kLength;
  bool writing_ = false;
  bool last_ = false;  // the answer ends with what is in out_
  std::deque<std::string> out_;
  std::size_t out_offset_ = 0;  // sent of its first
};

}  // namespace slipway::gateway
