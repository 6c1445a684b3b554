#pragma once

#include <functional>
#include <string>

#include "controller/gateway/http_message.h"

namespace slipway::gateway {

// Where one answer goes: either Respond, or Begin, Writes and End. Nothing after the last of them,
// nor after Exchange::OnGone. Confined to the connection's thread, but for Post.
class Responder {
 public:
  virtual ~Responder() = default;
  // A whole answer.
  virtual void Respond(Response response) = 0;
  // The beginning of one in pieces; `head` has no body. When it says a length, the pieces have just
  // as many bytes.
  virtual void Begin(Response head) = 0;
  // REQUIRES: nothing is being written. Exchange::OnWritten says when the piece is on its way.
  virtual void Write(std::string piece) = 0;
  // REQUIRES: nothing is being written. Closes the answer.
  virtual void End(std::string last_piece) = 0;
  // Instead of End, when no more pieces can be had: closes the connection, so that nobody takes the
  // answer for a whole one.
  virtual void Break() = 0;
  // Runs `work` on the connection's thread. Thread-safe.
  virtual void Post(std::function<void()> work) = 0;
};

// One request being answered. Made by the router, owned by the connection and by what it waits for.
// Confined to the connection's thread.
class Exchange {
 public:
  virtual ~Exchange() = default;
  // The beginning, or a piece, is on its way.
  virtual void OnWritten() {}
  // The client has left. Not called after Respond or End.
  virtual void OnGone() = 0;
  // The server stops: come to an end that the client is told.
  virtual void OnDrain() {}
};

}  // namespace slipway::gateway
