#pragma once

#include <boost/json.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/git_servers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait_until.h"

namespace slipway::testing {

// What somebody posted.
struct TakenPost {
  std::string path;
  boost::json::object headers;  // names in lower case
  std::string body;

  [[nodiscard]] std::string Header(const char* name) const {
    const auto* value = headers.if_contains(name);
    return value == nullptr ? "" : boost::json::value_to<std::string>(*value);
  }
  [[nodiscard]] boost::json::object Json() const { return boost::json::parse(body).as_object(); }
};

// A real web server on a free port of the loopback; hook_server.py says what it does. `tls`: a
// private key and a certificate; empty: without TLS.
class HookServer {
 public:
  explicit HookServer(const std::string& tls = "") : program_(Argv(tls), dir_ / "log") {
    const bool listening = WaitUntil([&] { return std::filesystem::exists(dir_ / "port"); });
    INFO(ReadFile(dir_ / "log"));
    REQUIRE(listening);
    url_ = (tls.empty() ? "http://127.0.0.1:" : "https://127.0.0.1:") + ReadFile(dir_ / "port");
  }
  // A line for each post.
  void Answer(const std::string& lines) { WriteFile(dir_ / "answers", lines); }
  [[nodiscard]] std::vector<TakenPost> Posts() const {
    std::vector<TakenPost> posts;
    for (int number = 1;; ++number) {
      const std::string path = dir_ / (std::to_string(number) + ".post");
      if (!std::filesystem::exists(path)) return posts;
      const auto post = boost::json::parse(ReadFile(path)).as_object();
      posts.push_back({boost::json::value_to<std::string>(post.at("path")),
                       post.at("headers").as_object(),
                       boost::json::value_to<std::string>(post.at("body"))});
    }
  }
  // Without a slash at its end.
  [[nodiscard]] const std::string& url() const { return url_; }

 private:
  std::vector<std::string> Argv(const std::string& tls) {
    std::vector<std::string> argv{"/usr/bin/python3",
                                  SLIPWAY_SOURCE_DIR "/tests/support/hook_server.py", dir_.path()};
    if (!tls.empty()) {
      WriteFile(dir_ / "tls", tls);
      argv.insert(argv.end(), {"--tls", dir_ / "tls", dir_ / "tls"});
    }
    return argv;
  }

  TempDir dir_;
  ServerProgram program_;
  std::string url_;
};

}  // namespace slipway::testing
