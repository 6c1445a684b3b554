#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"

namespace slipway::docker {

enum class Method { kGet, kPost, kDelete };

struct HttpRequest {
  Method method = Method::kGet;
  std::string target;  // path and query, percent-encoded
  std::string json;    // body; empty: none
};

struct HttpResponse {
  int status = 0;
  std::string api_version;  // of the Api-Version header
  std::string body;
};

// HTTP/1.1 to the Docker Engine on a Unix socket, one request at a time per connection, with idle
// connections kept for the next request. A request is never sent twice.
// Thread-safe.
class UnixHttpClient {
 public:
  UnixHttpClient(std::string socket_path, std::size_t max_response_bytes,
                 std::size_t max_idle_connections);
  ~UnixHttpClient();

  // Any status code is an answer. Errors are those common to all calls of ContainerEngine, and
  // kResourceExhausted, ENGINE_ANSWER_TOO_LARGE.
  [[nodiscard]] absl::StatusOr<HttpResponse> Send(const HttpRequest& request, MonoTime deadline);

 private:
  class Connection;

  std::unique_ptr<Connection> TakeIdle();
  void PutBack(std::unique_ptr<Connection> connection);

  const std::string socket_path_;
  const std::size_t max_response_bytes_;
  const std::size_t max_idle_connections_;

  std::mutex mu_;
  // Guarded by mu_.
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace slipway::docker
