#include "controller/gateway/socket.h"

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <utility>

namespace slipway::gateway {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

class PlainSocket final : public Socket {
 public:
  explicit PlainSocket(tcp::socket socket) : socket_(std::move(socket)) {}

  void Handshake(std::function<void(const error_code&)> done) override {
    asio::post(socket_.get_executor(), [done = std::move(done)] { done({}); });
  }
  void ReadSome(asio::mutable_buffer into, OnIo done) override {
    socket_.async_read_some(into, std::move(done));
  }
  void WriteSome(const std::vector<asio::const_buffer>& from, OnIo done) override {
    socket_.async_write_some(from, std::move(done));
  }
  void FinishWrites() override {
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }
  void Close() override {
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  tcp::socket socket_;
};

class TlsSocket final : public Socket {
 public:
  TlsSocket(tcp::socket socket, std::shared_ptr<asio::ssl::context> context)
      : context_(std::move(context)), stream_(std::move(socket), *context_) {}

  void Handshake(std::function<void(const error_code&)> done) override {
    stream_.async_handshake(asio::ssl::stream_base::server, std::move(done));
  }
  void ReadSome(asio::mutable_buffer into, OnIo done) override {
    stream_.async_read_some(into, std::move(done));
  }
  void WriteSome(const std::vector<asio::const_buffer>& from, OnIo done) override {
    stream_.async_write_some(from, std::move(done));
  }
  void FinishWrites() override {
    // The close_notify is sent; the connection closes when the client has gone, too.
    stream_.async_shutdown([](const error_code&) {});
  }
  void Close() override {
    error_code ignored;
    stream_.next_layer().close(ignored);
  }

 private:
  const std::shared_ptr<asio::ssl::context> context_;
  asio::ssl::stream<tcp::socket> stream_;
};

}  // namespace

std::unique_ptr<Socket> NewPlainSocket(tcp::socket socket) {
  return std::make_unique<PlainSocket>(std::move(socket));
}

std::unique_ptr<Socket> NewTlsSocket(tcp::socket socket,
                                     std::shared_ptr<asio::ssl::context> context) {
  return std::make_unique<TlsSocket>(std::move(socket), std::move(context));
}

}  // namespace slipway::gateway
