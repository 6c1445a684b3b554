#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway::testing {

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // without its chunks

  // Empty: there is no such header.
  [[nodiscard]] std::string Get(const std::string& name) const;
};

// One message of a Connect stream.
struct StreamMessage {
  int flags = 0;
  std::string bytes;
};

// An HTTP client that says exactly what it is told, right or wrong. Every read ends within 10
// seconds. Thread-compatible.
class HttpClient {
 public:
  explicit HttpClient(int port);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // False: the other side has closed.
  bool Send(std::string_view bytes) const;
  // The whole of the next answer; nullopt: the connection ended before.
  [[nodiscard]] std::optional<HttpAnswer> Read();
  // Of a stream: first the head, then message by message.
  [[nodiscard]] std::optional<HttpAnswer> ReadHead();
  [[nodiscard]] std::optional<StreamMessage> ReadMessage();
  // Whether the other side closes within 10 seconds, without a further byte.
  [[nodiscard]] bool ReadsEnd();
  // What has come and was not read by the above, after waiting for at least a byte.
  [[nodiscard]] std::string ReadSome();
  void Close();

 private:
  bool Fill();
  std::optional<std::string> Take(std::size_t size);
  std::optional<std::string> TakeLine();
  // nullopt: broken; empty: the last one.
  std::optional<std::string> TakeChunk();

  int fd_ = -1;
  std::string received_;
  bool chunked_ = false;
  std::string unread_;  // of chunks
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// A request with Host, Content-Length and `headers`.
[[nodiscard]] std::string HttpRequest(std::string_view method, std::string_view target,
                                      const HttpHeaders& headers, std::string_view body);

// An envelope as a client sends it.
[[nodiscard]] std::string StreamBody(std::string_view message, int flags = 0);

}  // namespace slipway::testing
