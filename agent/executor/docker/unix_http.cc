#include "agent/executor/docker/unix_http.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <optional>
#include <utility>

#include "agent/executor/engine_errors.h"
#include "common/status/status.h"

namespace slipway::docker {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using StreamProtocol = asio::local::stream_protocol;

http::verb ToVerb(Method method) {
  switch (method) {
    case Method::kGet: return http::verb::get;
    case Method::kPost: return http::verb::post;
    case Method::kDelete: return http::verb::delete_;
  }
  return http::verb::unknown;
}

std::string Name(const HttpRequest& request) {
  return fmt::format("{} {}", std::string(http::to_string(ToVerb(request.method))),
                     request.target.substr(0, request.target.find('?')));
}

absl::Status ConnectError(const std::string& socket_path, const error_code& error) {
  if (error == asio::error::access_denied || error.value() == EPERM)
    return executor::EngineSocketDeniedError(socket_path, error.message());
  return executor::NoDockerEngineError(socket_path, error.message());
}

absl::Status ExchangeError(const HttpRequest& request, const error_code& error) {
  if (error == http::error::body_limit || error == http::error::header_limit)
    return MakeError(absl::StatusCode::kResourceExhausted, "ENGINE_ANSWER_TOO_LARGE",
                     fmt::format("the Docker Engine's answer to {} is too large", Name(request)));
  if (error.category() == error_code(http::error::bad_version).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message)
    return executor::EngineAnswerInvalidError(Name(request), error.message());
  return MakeError(
      absl::StatusCode::kUnavailable, "ENGINE_CONNECTION_LOST",
      fmt::format("the Docker Engine closed the connection without an answer to {}: {}",
                  Name(request), error.message()),
      "look at the Engine's own log: it may be restarting");
}

absl::Status TimeoutError(const HttpRequest& request) {
  return MakeError(absl::StatusCode::kDeadlineExceeded, "ENGINE_TIMEOUT",
                   fmt::format("the Docker Engine did not answer {} in time", Name(request)));
}

}  // namespace

// One connection with an event loop of its own, which is what lets a blocking call have a deadline.
// Confined to the thread that took it from the pool.
class UnixHttpClient::Connection {
 public:
  Connection() : socket_(context_) {}

  // nullopt: the deadline came first.
  std::optional<error_code> Connect(const std::string& path, MonoTime deadline) {
    error_code result;
    // Asio's own would be inherited by the programs that the agent runs.
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return error_code(errno, boost::system::system_category());
    socket_.assign(StreamProtocol(), fd, result);
    if (result) return result;
    socket_.async_connect(StreamProtocol::endpoint(path),
                          [&](const error_code& error) { result = error; });
    if (!RunUntil(deadline)) return std::nullopt;
    return result;
  }

  std::optional<error_code> Exchange(const http::request<http::string_body>& request,
                                     http::response_parser<http::string_body>& parser,
                                     MonoTime deadline) {
    error_code result;
    http::async_write(socket_, request, [&](const error_code& write_error, std::size_t) {
      result = write_error;
      if (write_error) return;
      http::async_read(socket_, buffer_, parser,
                       [&](const error_code& error, std::size_t) { result = error; });
    });
    if (!RunUntil(deadline)) return std::nullopt;
    return result;
  }

  // Neither closed by the Engine nor holding bytes that belong to no request.
  bool IsFresh() {
    char byte = 0;
    return buffer_.size() == 0 &&
           ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
  }

 private:
  // Runs the operation that was begun. False: it was not done by `deadline`, and is abandoned
  // together with the connection.
  bool RunUntil(MonoTime deadline) {
    context_.restart();
    context_.run_for(deadline - SystemClock().Mono());
    if (context_.stopped()) return true;
    error_code ignored;
    socket_.close(ignored);
    context_.run();
    return false;
  }

  asio::io_context context_{1};
  StreamProtocol::socket socket_;
  boost::beast::flat_buffer buffer_;
};

UnixHttpClient::UnixHttpClient(std::string socket_path, std::size_t max_response_bytes,
                               std::size_t max_idle_connections)
    : socket_path_(std::move(socket_path)),
      max_response_bytes_(max_response_bytes),
      max_idle_connections_(max_idle_connections) {}

UnixHttpClient::~UnixHttpClient() = default;

absl::StatusOr<HttpResponse> UnixHttpClient::Send(const HttpRequest& request, MonoTime deadline) {
  std::unique_ptr<Connection> connection = TakeIdle();
  if (!connection) {
    connection = std::make_unique<Connection>();
    const std::optional<error_code> error = connection->Connect(socket_path_, deadline);
    if (!error) return TimeoutError(request);
    if (*error) return ConnectError(socket_path_, *error);
  }

  http::request<http::string_body> message(ToVerb(request.method), request.target, 11);
  message.set(http::field::host, "docker");
  message.set(http::field::user_agent, "slipway-agent");
  if (!request.json.empty()) {
    message.set(http::field::content_type, "application/json");
    message.body() = request.json;
  }
  message.prepare_payload();
  http::response_parser<http::string_body> parser;
  parser.body_limit(max_response_bytes_);

  const std::optional<error_code> error = connection->Exchange(message, parser, deadline);
  if (!error) return TimeoutError(request);
  if (*error) return ExchangeError(request, *error);
  const bool keep_alive = parser.keep_alive();
  http::response<http::string_body> answer = parser.release();
  if (keep_alive) PutBack(std::move(connection));
  return HttpResponse{.status = static_cast<int>(answer.result_int()),
                      .api_version = std::string(answer["Api-Version"]),
                      .body = std::move(answer.body())};
}

std::unique_ptr<UnixHttpClient::Connection> UnixHttpClient::TakeIdle() {
  const std::lock_guard lock(mu_);
  while (!idle_.empty()) {
    std::unique_ptr<Connection> connection = std::move(idle_.back());
    idle_.pop_back();
    if (connection->IsFresh()) return connection;
  }
  return nullptr;
}

void UnixHttpClient::PutBack(std::unique_ptr<Connection> connection) {
  const std::lock_guard lock(mu_);
  if (idle_.size() < max_idle_connections_) idle_.push_back(std::move(connection));
}

}  // namespace slipway::docker
