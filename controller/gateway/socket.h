#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <memory>
#include <vector>

namespace slipway::gateway {

// A client's end of a connection, plain or under TLS. At most one read and one write at a time.
// Confined to the thread of its executor, on which the handlers run, never within the call.
class Socket {
 public:
  using OnIo = std::function<void(const boost::system::error_code&, std::size_t)>;

  virtual ~Socket() = default;
  virtual void Handshake(std::function<void(const boost::system::error_code&)> done) = 0;
  virtual void ReadSome(boost::asio::mutable_buffer into, OnIo done) = 0;
  virtual void WriteSome(const std::vector<boost::asio::const_buffer>& from, OnIo done) = 0;
  // Nothing more will be written; what the client still sends can be read.
  virtual void FinishWrites() = 0;
  virtual void Close() = 0;
};

[[nodiscard]] std::unique_ptr<Socket> NewPlainSocket(boost::asio::ip::tcp::socket socket);
[[nodiscard]] std::unique_ptr<Socket> NewTlsSocket(
    boost::asio::ip::tcp::socket socket, std::shared_ptr<boost::asio::ssl::context> context);

}  // namespace slipway::gateway
