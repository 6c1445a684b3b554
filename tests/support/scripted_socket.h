#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace slipway::testing {

// A server on a Unix socket that says what it is told, for clients of one request at a time. It
// answers the first request with the first reply, on whatever connection it comes, and so on; after
// the last one it keeps silent. Thread-safe.
class ScriptedSocket {
 public:
  struct Reply {
    std::string bytes;         // sent when the end of a request's head has come
    bool close_after = false;  // closes the connection then
  };

  explicit ScriptedSocket(std::vector<Reply> replies);
  ~ScriptedSocket();
  ScriptedSocket(const ScriptedSocket&) = delete;
  ScriptedSocket& operator=(const ScriptedSocket&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  // The heads of the requests so far.
  [[nodiscard]] std::vector<std::string> requests() const;
  [[nodiscard]] int connections() const { return connections_; }
  // How many of them have been closed, by either side.
  [[nodiscard]] int closed() const { return closed_; }

  // An HTTP answer with a body of JSON.
  static std::string Http(int status, const std::string& body,
                          const std::string& extra_headers = "");

 private:
  void Serve();

  const std::vector<Reply> replies_;
  std::string directory_;
  std::string path_;
  int listener_ = -1;
  int stop_ = -1;  // an eventfd; readable: Serve has to return
  std::atomic<int> connections_ = 0;
  std::atomic<int> closed_ = 0;
  mutable std::mutex mu_;
  std::vector<std::string> requests_;  // guarded by mu_
  std::thread thread_;
};

}  // namespace slipway::testing
