#pragma once

#include <chrono>
#include <cstddef>

#include "common/base/time.h"

namespace slipway::gateway {

// What strangers may use up.
struct Limits {
  // Of the request line and all headers.
  std::size_t max_header_bytes = 16 << 10;
  // Of one request, as sent.
  std::size_t max_body_bytes = 4 << 20;
  // Of one message, unpacked. It is decoded before anybody knows who sends it.
  std::size_t max_message_bytes = 4 << 20;
  // Of all bodies that are being received.
  std::size_t max_buffered_bytes = 256 << 20;
  // Above it, who connects is sent away at once.
  std::size_t max_connections = 4096;
  // Streams open at once; above it they end with resource_exhausted.
  std::size_t max_streams = 4000;
  // From the first byte of a request, or from the start of a connection, to the end of its headers.
  Duration header_timeout = std::chrono::seconds(10);
  // For a whole body.
  Duration body_timeout = std::chrono::seconds(60);
  // Between two requests.
  Duration idle_timeout = std::chrono::seconds(75);
  // How long a client may take nothing of what it is sent.
  Duration write_timeout = std::chrono::minutes(2);
  // For a unary call; a client may ask for less.
  std::chrono::milliseconds unary_timeout = std::chrono::minutes(2);
  // How often the times above are looked at.
  std::chrono::milliseconds tick = std::chrono::milliseconds(250);
};

}  // namespace slipway::gateway
