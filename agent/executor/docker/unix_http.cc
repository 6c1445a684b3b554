#include "agent/executor/docker/unix_http.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/http/file_body.hpp>
#include <cerrno>
#include <limits>
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

// Between tries while the listener's queue is full.
constexpr Duration kConnectPause = std::chrono::milliseconds(20);
// Between looks at the stop token.
constexpr Duration kStopSlice = std::chrono::milliseconds(100);

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

template <typename Body>
http::request<Body> Head(const HttpRequest& request) {
  http::request<Body> message(ToVerb(request.method), request.target, 11);
  message.set(http::field::host, "docker");
  message.set(http::field::user_agent, "slipway-agent");
  return message;
}

http::request<http::string_body> ToMessage(const HttpRequest& request) {
  auto message = Head<http::string_body>(request);
  if (!request.json.empty()) {
    message.set(http::field::content_type, "application/json");
    message.body() = request.json;
  }
  message.prepare_payload();
  return message;
}

absl::StatusOr<http::request<http::file_body>> ToFileMessage(const HttpRequest& request) {
  auto message = Head<http::file_body>(request);
  message.set(http::field::content_type, "application/x-tar");
  error_code error;
  message.body().open(request.tar_file.c_str(), boost::beast::file_mode::scan, error);
  if (error) return absl::NotFoundError(fmt::format("{}: {}", request.tar_file, error.message()));
  message.prepare_payload();
  return message;
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
    // Asio's own would be inherited by the programs that the agent runs.
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return error_code(errno, boost::system::system_category());
    error_code result;
    socket_.assign(StreamProtocol(), fd, result);
    if (result) return result;
    const StreamProtocol::endpoint endpoint(path);
    // A Unix socket connects at once or not at all: EAGAIN means that nobody takes the connections
    // that wait already, and asio would call that a success.
    while (::connect(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0) {
      if (errno != EAGAIN && errno != EINTR) {
        return error_code(errno, boost::system::system_category());
      }
      const Duration left = deadline - SystemClock().Mono();
      if (left <= Duration::zero()) return std::nullopt;
      asio::steady_timer pause(context_, std::min<Duration>(left, kConnectPause));
      pause.async_wait([](const error_code&) {});
      context_.restart();
      context_.run();
    }
    return error_code();
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

  // Reads the head, then hands on the body. nullopt: the deadline came first, or a stop.
  template <typename Message>
  std::optional<error_code> ExchangeAndStream(
      Message& request, http::response_parser<http::buffer_body>& parser, MonoTime deadline,
      const std::stop_token& stop, const std::function<void(std::string_view)>& on_body) {
    error_code result;
    const auto take = [&](const error_code& error, std::size_t) { result = error; };
    http::async_write(socket_, request, [&](const error_code& write_error, std::size_t) {
      result = write_error;
      if (!write_error) http::async_read_header(socket_, buffer_, parser, take);
    });
    if (!RunUntil(deadline, stop)) return std::nullopt;
    std::array<char, 16384> piece{};
    while (!result && !parser.is_done()) {
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      http::async_read(socket_, buffer_, parser, take);
      if (!RunUntil(deadline, stop)) return std::nullopt;
      if (result == http::error::need_buffer) result = {};
      on_body({piece.data(), piece.size() - parser.get().body().size});
    }
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
  // Runs the operation that was begun. False: it was not done by `deadline`, or `stop` was
  // requested; it is abandoned together with the connection.
  bool RunUntil(MonoTime deadline, const std::stop_token& stop = {}) {
    context_.restart();
    while (!stop.stop_requested()) {
      const Duration left = deadline - SystemClock().Mono();
      if (left <= Duration::zero()) break;
      context_.run_for(stop.stop_possible() ? std::min<Duration>(left, kStopSlice) : left);
      if (context_.stopped()) return true;
    }
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

absl::StatusOr<std::unique_ptr<UnixHttpClient::Connection>> UnixHttpClient::Connect(
    const HttpRequest& request, MonoTime deadline) {
  auto connection = std::make_unique<Connection>();
  const std::optional<error_code> error = connection->Connect(socket_path_, deadline);
  if (!error) return TimeoutError(request);
  if (!*error) return connection;
  ++times_lost_;
  return ConnectError(socket_path_, *error);
}

absl::StatusOr<HttpResponse> UnixHttpClient::Send(const HttpRequest& request, MonoTime deadline) {
  std::unique_ptr<Connection> connection = TakeIdle();
  bool may_repeat = connection && request.method == Method::kGet;
  if (!connection) {
    SLIPWAY_ASSIGN_OR_RETURN(connection, Connect(request, deadline));
  }
  const http::request<http::string_body> message = ToMessage(request);
  std::optional<http::response_parser<http::string_body>> parser;
  while (true) {
    parser.emplace();
    parser->body_limit(max_response_bytes_);
    const std::optional<error_code> error = connection->Exchange(message, *parser, deadline);
    if (!error) return TimeoutError(request);
    if (!*error) break;
    ++times_lost_;
    if (!may_repeat || parser->got_some()) return ExchangeError(request, *error);
    may_repeat = false;
    SLIPWAY_ASSIGN_OR_RETURN(connection, Connect(request, deadline));
  }
  const bool keep_alive = parser->keep_alive();
  http::response<http::string_body> answer = parser->release();
  if (keep_alive) PutBack(std::move(connection));
  return HttpResponse{.status = static_cast<int>(answer.result_int()),
                      .api_version = std::string(answer["Api-Version"]),
                      .body = std::move(answer.body())};
}

absl::StatusOr<HttpResponse> UnixHttpClient::SendAndStream(
    const HttpRequest& request, MonoTime deadline, const std::stop_token& stop,
    const std::function<void(std::string_view)>& on_body) {
  SLIPWAY_ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection,
                           Connect(request, deadline));
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());
  std::optional<error_code> error;
  if (request.tar_file.empty()) {
    const http::request<http::string_body> message = ToMessage(request);
    error = connection->ExchangeAndStream(message, parser, deadline, stop, on_body);
  } else {
    SLIPWAY_ASSIGN_OR_RETURN(auto message, ToFileMessage(request));
    error = connection->ExchangeAndStream(message, parser, deadline, stop, on_body);
  }
  if (!error && stop.stop_requested()) {
    return absl::CancelledError("canceled while the Docker Engine worked");
  }
  if (!error) return TimeoutError(request);
  if (*error) {
    ++times_lost_;
    return ExchangeError(request, *error);
  }
  return HttpResponse{.status = static_cast<int>(parser.get().result_int()),
                      .api_version = std::string(parser.get()["Api-Version"]),
                      .body = ""};
}

std::unique_ptr<UnixHttpClient::Connection> UnixHttpClient::TakeIdle() {
  const std::lock_guard lock(mu_);
  while (!idle_.empty()) {
    std::unique_ptr<Connection> connection = std::move(idle_.back());
    idle_.pop_back();
    if (connection->IsFresh()) return connection;
    ++times_lost_;
  }
  return nullptr;
}

void UnixHttpClient::PutBack(std::unique_ptr<Connection> connection) {
  const std::lock_guard lock(mu_);
  if (idle_.size() < max_idle_connections_) idle_.push_back(std::move(connection));
}

}  // namespace slipway::docker
