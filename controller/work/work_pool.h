#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace slipway::work {

// A few threads for work that may block for a moment. Work is taken in order; what is still waiting
// at destruction is run, not dropped, so that nobody waits for it in vain. Thread-safe.
class WorkPool {
 public:
  explicit WorkPool(int threads);
  ~WorkPool();
  void Post(std::function<void()> work);
  // False: `most` are waiting, and this is not taken.
  [[nodiscard]] bool TryPost(std::function<void()> work, std::size_t most);

 private:
  void Loop();

  std::mutex mu_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::deque<std::function<void()>> queue_;
  std::vector<std::thread> threads_;
};

}  // namespace slipway::work
