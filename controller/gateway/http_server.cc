#include "controller/gateway/http_server.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "common/log/log.h"
#include "common/status/status.h"
#include "controller/gateway/connection.h"
#include "controller/gateway/http_metrics.h"
#include "controller/gateway/method_table.h"
#include "controller/gateway/router.h"

namespace slipway::gateway {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr int kKeepAliveIdleSeconds = 60;
constexpr int kKeepAliveProbeSeconds = 15;
constexpr int kKeepAliveProbes = 4;

absl::StatusOr<std::shared_ptr<asio::ssl::context>> TlsContext(
    const crypto::KeyAndCertificate& tls) {
  using asio::ssl::context;
  const auto made = std::make_shared<context>(context::tls_server);
  error_code error;
  made->set_options(context::default_workarounds | context::no_sslv2 | context::no_sslv3 |
                        context::no_tlsv1 | context::no_tlsv1_1 | context::single_dh_use,
                    error);
  if (!error) made->use_certificate_chain(asio::buffer(tls.certificate_pem), error);
  if (!error) {
    const std::string_view key = tls.key_pem.view();
    made->use_private_key(asio::buffer(key.data(), key.size()), context::pem, error);
  }
  if (!error) return made;
  return MakeError(
      absl::StatusCode::kInvalidArgument, "BAD_HTTP_CERTIFICATE",
      fmt::format("the certificate or key of the HTTP port cannot be used: {}", error.message()),
      "Give a PEM file with the certificate and those up to its CA, and one with its key.");
}

// One thread, its event loop and the connections that are confined to it.
class Loop {
 public:
  Loop(std::chrono::milliseconds tick, const Clock& clock)
      : tick_(tick), clock_(clock), io_(1), work_(io_.get_executor()), timer_(io_) {}

  void Run() {
    thread_ = std::thread([this] { io_.run(); });
  }

  // The connections must be closed.
  void Join() {
    work_.reset();
    asio::post(io_, [this] {
      stopping_ = true;
      timer_.cancel();
    });
    if (thread_.joinable()) thread_.join();
  }

  asio::io_context& io() { return io_; }

  // On its thread.
  void Add(std::shared_ptr<Connection> connection) {
    Connection* const key = connection.get();
    connections_.emplace(key, std::move(connection));
    if (!std::exchange(armed_, true)) Arm();
  }
  void Remove(Connection& connection) { connections_.erase(&connection); }

  template <typename Do>
  void ForEach(Do what) {
    // A copy, because what is done may close some.
    std::vector<std::shared_ptr<Connection>> all;
    all.reserve(connections_.size());
    for (const auto& [key, connection] : connections_) all.push_back(connection);
    for (const auto& connection : all) what(*connection);
  }

 private:
  void Arm() {
    timer_.expires_after(tick_);
    timer_.async_wait([this](const error_code& error) {
      armed_ = false;
      if (error || stopping_ || connections_.empty()) return;
      ForEach([now = clock_.Mono()](Connection& connection) { connection.OnTick(now); });
      armed_ = true;
      Arm();
    });
  }

  const std::chrono::milliseconds tick_;
  const Clock& clock_;
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::steady_timer timer_;
  bool armed_ = false;
  bool stopping_ = false;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
  std::thread thread_;
};

class AsioHttpServer final : public HttpServer {
 public:
  AsioHttpServer(HttpOptions options, Deps deps, MethodTable table)
      : options_(std::move(options)),
        clock_(deps.clock),
        table_(std::move(table)),
        grpc_(deps.channel, std::move(deps.token), deps.clock, calls_),
        metrics_(deps.registry, table_),
        pages_(deps.registry, metrics_, calls_, std::move(deps.ready), std::move(deps.linked)),
        router_({options_.origins}, table_, {grpc_, metrics_, options_.limits, clock_}, pages_),
        shared_{router_, options_.limits, clock_, buffered_} {
    for (int i = 0; i < std::max(1, options_.threads); ++i) {
      loops_.push_back(std::make_unique<Loop>(options_.limits.tick, clock_));
    }
    acceptor_.emplace(loops_.front()->io());
    pause_.emplace(loops_.front()->io());
  }

  ~AsioHttpServer() override { Stop(Duration::zero()); }

  absl::Status Listen(const crypto::KeyAndCertificate* tls) {
    if (tls != nullptr) SLIPWAY_RETURN_IF_ERROR(UseCertificate(*tls));
    const std::size_t colon = options_.listen.rfind(':');
    std::string host = options_.listen.substr(0, colon);
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    error_code error;
    tcp::resolver resolver(loops_.front()->io());
    const auto found =
        resolver.resolve(host, options_.listen.substr(colon + 1),
                         tcp::resolver::passive | tcp::resolver::numeric_service, error);
    if (error || found.empty()) return CannotListen(error);
    const tcp::endpoint at = found.begin()->endpoint();
    if (tls == nullptr && !at.address().is_loopback() && !options_.allow_plain) {
      return MakeError(
          absl::StatusCode::kFailedPrecondition, "HTTP_PLAIN_REFUSED",
          fmt::format("HTTP without TLS would be served on {}, where others can read tokens",
                      options_.listen),
          "Use --http-tls own or given; behind a proxy that adds TLS, --http-allow-plain.");
    }
    acceptor_->open(at.protocol(), error);
    if (!error) acceptor_->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_->bind(at, error);
    if (!error) acceptor_->listen(asio::socket_base::max_listen_connections, error);
    if (error) return CannotListen(error);
    port_ = acceptor_->local_endpoint(error).port();
    for (const auto& loop : loops_) loop->Run();
    running_ = true;
    asio::post(loops_.front()->io(), [this] { Accept(); });
    return absl::OkStatus();
  }

  int port() const override { return port_; }

  absl::Status UseCertificate(const crypto::KeyAndCertificate& tls) override {
    SLIPWAY_ASSIGN_OR_RETURN(auto context, TlsContext(tls));
    const std::lock_guard lock(mu_);
    tls_ = std::move(context);
    return absl::OkStatus();
  }

  void Drain() override {
    if (!running_ || draining_.exchange(true)) return;
    asio::post(loops_.front()->io(), [this] {
      error_code ignored;
      acceptor_->close(ignored);
      pause_->cancel();
    });
    for (const auto& loop : loops_) {
      asio::post(loop->io(), [loop = loop.get()] {
        loop->ForEach([](Connection& connection) { connection.Drain(); });
      });
    }
  }

  void Stop(Duration patience) override {
    if (!running_) return;
    Drain();
    {
      std::unique_lock lock(mu_);
      none_open_.wait_for(lock, patience, [this] { return open_ == 0; });
    }
    for (const auto& loop : loops_) {
      asio::post(loop->io(), [loop = loop.get()] {
        loop->ForEach([](Connection& connection) { connection.Close(); });
      });
    }
    // What closed connections had asked for was cancelled, and comes to its end through the loops.
    {
      std::unique_lock lock(mu_);
      none_open_.wait(lock, [this] { return open_ == 0; });
    }
    calls_.WaitUntilNone();
    for (const auto& loop : loops_) loop->Join();
    running_ = false;
  }

 private:
  absl::Status CannotListen(const error_code& error) const {
    return MakeError(absl::StatusCode::kUnavailable, "CANNOT_LISTEN",
                     fmt::format("cannot serve HTTP on {}: {}", options_.listen, error.message()),
                     "`ss -ltnp` shows who has the port; --http-listen HOST:PORT takes another, "
                     "--http-listen off none.");
  }

  void Accept() {
    if (draining_) return;
    Loop& loop = *loops_[next_++ % loops_.size()];
    acceptor_->async_accept(loop.io(), [this, &loop](const error_code& error, tcp::socket socket) {
      if (draining_) return;
      if (error) {
        // Out of descriptors, or a client that left at once.
        pause_->expires_after(kAcceptPause);
        pause_->async_wait([this](const error_code& stopped) {
          if (!stopped) Accept();
        });
        return;
      }
      Welcome(loop, std::move(socket));
      Accept();
    });
  }

  void Welcome(Loop& loop, tcp::socket socket) {
    {
      const std::lock_guard lock(mu_);
      if (open_ >= options_.limits.max_connections) {
        metrics_.refused.fetch_add(1);
        return;
      }
      ++open_;
    }
    metrics_.connections.fetch_add(1);
    asio::post(loop.io(), [this, &loop, socket = std::move(socket)]() mutable {
      Open(loop, std::move(socket));
    });
  }

  void Open(Loop& loop, tcp::socket socket) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    KeepAlive(socket.native_handle());
    const auto peer = socket.remote_endpoint(ignored).address();
    // An IPv4 client of an IPv6 socket has the address that it has everywhere else.
    const std::string ip =
        peer.is_v6() && peer.to_v6().is_v4_mapped()
            ? asio::ip::make_address_v4(asio::ip::v4_mapped, peer.to_v6()).to_string()
            : peer.to_string();
    const auto tls = Tls();
    auto connection = std::make_shared<Connection>(
        shared_, loop.io(),
        tls ? NewTlsSocket(std::move(socket), tls) : NewPlainSocket(std::move(socket)), ip,
        [this, &loop](Connection& closed) {
          loop.Remove(closed);
          metrics_.connections.fetch_sub(1);
          const std::lock_guard lock(mu_);
          if (--open_ == 0) none_open_.notify_all();
        });
    loop.Add(connection);
    connection->Start();
    if (draining_) connection->Drain();
  }

  // So that a client whose machine is gone does not hold a stream for ever.
  static void KeepAlive(int fd) {
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kKeepAliveIdleSeconds, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kKeepAliveProbeSeconds, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kKeepAliveProbes, sizeof on);
  }

  std::shared_ptr<asio::ssl::context> Tls() {
    const std::lock_guard lock(mu_);
    return tls_;
  }

  // Constant after construction.
  const HttpOptions options_;
  const Clock& clock_;
  const MethodTable table_;
  int port_ = 0;

  // Own synchronisation.
  OpenCount calls_;
  GrpcSide grpc_;
  HttpMetrics metrics_;
  const Pages pages_;
  const Router router_;
  std::atomic<std::size_t> buffered_{0};
  const ConnectionDeps shared_;
  std::atomic<bool> draining_{false};
  bool running_ = false;  // the owner's thread's

  std::mutex mu_;
  std::condition_variable none_open_;
  std::size_t open_ = 0;
  std::shared_ptr<asio::ssl::context> tls_;

  std::vector<std::unique_ptr<Loop>> loops_;
  // Confined to the first loop.
  std::optional<tcp::acceptor> acceptor_;
  std::optional<asio::steady_timer> pause_;
  std::size_t next_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(
    HttpOptions options, Deps deps, const crypto::KeyAndCertificate* tls) {
  SLIPWAY_ASSIGN_OR_RETURN(auto table, MethodTable::Make(options.services));
  auto server =
      std::make_unique<AsioHttpServer>(std::move(options), std::move(deps), std::move(table));
  SLIPWAY_RETURN_IF_ERROR(server->Listen(tls));
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace slipway::gateway
