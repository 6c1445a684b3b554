#include "controller/gateway/http_message.h"

#include <fmt/format.h>

#include <iterator>

#include "absl/time/time.h"

namespace slipway::gateway {
namespace {

std::string_view Reason(int status) {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "";
  }
}

}  // namespace

std::string ResponseHead(const Response& response, Framing framing, bool keep_alive,
                         std::string_view date) {
  std::string out;
  auto to = std::back_inserter(out);
  fmt::format_to(to, "HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status, Reason(response.status),
                 date);
  for (const auto& [name, value] : response.headers) fmt::format_to(to, "{}: {}\r\n", name, value);
  if (framing == Framing::kChunked) {
    out += "Transfer-Encoding: chunked\r\n";
  } else if (framing == Framing::kLength && response.status != 204) {
    fmt::format_to(to, "Content-Length: {}\r\n", response.length.value_or(response.body.size()));
  }
  if (!keep_alive) out += "Connection: close\r\n";
  // Nothing here is a page to be guessed at.
  out += "X-Content-Type-Options: nosniff\r\n\r\n";
  return out;
}

std::string HttpDate(std::int64_t unix_seconds) {
  return absl::FormatTime("%a, %d %b %E4Y %H:%M:%S GMT", absl::FromUnixSeconds(unix_seconds),
                          absl::UTCTimeZone());
}

}  // namespace slipway::gateway
