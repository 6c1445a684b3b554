#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"

namespace slipway::docker {

enum class Method { kGet, kPost, kDelete };

struct HttpRequest {
  Method method = Method::kGet;
  std::string target;         // path and query, percent-encoded
  std::string json;           // body; empty: none
  std::string tar_file = {};  // path of a tar file that is the body instead; empty: none
};

struct HttpResponse {
  int status = 0;
  std::string api_version;  // of the Api-Version header
  std::string body;
};

// HTTP/1.1 to the Docker Engine on a Unix socket, one request at a time per connection, with idle
// connections kept for the next request. A request is never sent twice, but for a GET that a kept
// connection took and that got no byte of an answer: the Engine may close what is idle at any
// moment. None outlives its deadline: not in connecting to a listener that takes no more
// connections either.
// Thread-safe.
class UnixHttpClient {
 public:
  UnixHttpClient(std::string socket_path, std::size_t max_response_bytes,
                 std::size_t max_idle_connections);
  ~UnixHttpClient();

  // Any status code is an answer. Errors are those common to all calls of ContainerEngine, and
  // kResourceExhausted, ENGINE_ANSWER_TOO_LARGE.
  [[nodiscard]] absl::StatusOr<HttpResponse> Send(const HttpRequest& request, MonoTime deadline);

  // The same for a long answer, whose body goes to `on_body` piece by piece and is not kept. On a
  // connection of its own. kCancelled: `stop` was requested; the Engine sees the connection close.
  [[nodiscard]] absl::StatusOr<HttpResponse> SendAndStream(
      const HttpRequest& request, MonoTime deadline, const std::stop_token& stop,
      const std::function<void(std::string_view)>& on_body);

  // How often the Engine was found to have closed a connection that it should have kept, or not to
  // listen at all.
  [[nodiscard]] std::uint64_t times_lost() const { return times_lost_; }

 private:
  class Connection;

  absl::StatusOr<std::unique_ptr<Connection>> Connect(const HttpRequest& request,
                                                      MonoTime deadline);
  std::unique_ptr<Connection> TakeIdle();
  void PutBack(std::unique_ptr<Connection> connection);

  const std::string socket_path_;
  const std::size_t max_response_bytes_;
  const std::size_t max_idle_connections_;

  // Own synchronisation.
  std::atomic<std::uint64_t> times_lost_{0};

  std::mutex mu_;
  // Guarded by mu_.
  std::vector<std::unique_ptr<Connection>> idle_;
};

}  // namespace slipway::docker
