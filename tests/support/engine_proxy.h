#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace slipway::testing {

// A Unix socket in front of a Docker Engine's, which can hang or break while the Engine behind it
// lives on. Thread-safe.
class EngineProxy {
 public:
  // Listens on `path`; connects to `engine` for each client.
  EngineProxy(std::string path, std::string engine);
  ~EngineProxy();
  EngineProxy(const EngineProxy&) = delete;
  EngineProxy& operator=(const EngineProxy&) = delete;

  // Takes connections and requests, and lets nothing through, until it is told `false`.
  void Hang(bool hang) { hang_ = hang; }
  // Breaks every connection and takes none, until it is told `false`.
  void Cut(bool cut);

 private:
  void Serve();
  void Carry(int client, int engine);
  void Listen();

  const std::string path_;
  const std::string engine_;
  std::atomic<bool> hang_ = false;
  std::atomic<bool> cut_ = false;
  std::atomic<bool> stop_ = false;
  int listener_ = -1;  // of the thread, and of Cut while it is joined
  std::mutex mu_;
  std::vector<std::thread> carriers_;  // guarded by mu_
  std::thread thread_;
};

}  // namespace slipway::testing
