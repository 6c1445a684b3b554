#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway::gateway {

// The headers of requests that anything here looks at. No other one gets past the connection.
enum class Header {
  kAcceptEncoding,
  kAccessControlRequestMethod,
  kAuthorization,
  kConnectAcceptEncoding,
  kConnectContentEncoding,
  kConnectProtocolVersion,
  kConnectTimeoutMs,
  kContentEncoding,
  kContentType,
  kCookie,
  kOrigin,
};
inline constexpr std::array<std::string_view, 11> kHeaderNames = {"accept-encoding",
                                                                  "access-control-request-method",
                                                                  "authorization",
                                                                  "connect-accept-encoding",
                                                                  "connect-content-encoding",
                                                                  "connect-protocol-version",
                                                                  "connect-timeout-ms",
                                                                  "content-encoding",
                                                                  "content-type",
                                                                  "cookie",
                                                                  "origin"};

// What an HTTP client asks.
struct Request {
  std::string method;  // "GET"
  std::string path;    // without query
  std::string query;   // without '?'
  std::array<std::string, kHeaderNames.size()> headers;
  std::string body;
  std::string remote_ip;

  [[nodiscard]] std::string_view Get(Header header) const {
    return headers.at(static_cast<std::size_t>(header));
  }
};

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// What it is answered. Length, connection and date are the connection's business.
struct Response {
  int status = 200;
  HeaderList headers;
  std::string body;
  // Of a body that follows in pieces, or that a HEAD does not get; absent: that of `body`, or not
  // known.
  std::optional<std::uint64_t> length{};
};

// How a body is delimited.
enum class Framing { kLength, kChunked, kUntilClose };

// The bytes before the body. `date` as in the header of that name.
[[nodiscard]] std::string ResponseHead(const Response& response, Framing framing, bool keep_alive,
                                       std::string_view date);

// "Sun, 06 Nov 1994 08:49:37 GMT".
[[nodiscard]] std::string HttpDate(std::int64_t unix_seconds);

}  // namespace slipway::gateway
