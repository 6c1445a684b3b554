#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "common/base/time.h"

namespace slipway::work {

// Work that is done again and again on a thread of its own, first at once: keeping house. Unlike
// what a WorkPool does, nobody waits for it. Destruction waits for the work that is under way.
// Thread-safe.
class Recurring {
 public:
  struct Options {
    Duration interval = std::chrono::hours(1);
    // Before the next when the work says that there is more, so that others get a word in.
    Duration pause = std::chrono::milliseconds(100);
  };
  // `work` says whether there is more to do.
  Recurring(const Options& options, std::function<bool()> work);
  Recurring(const Recurring&) = delete;
  Recurring& operator=(const Recurring&) = delete;
  ~Recurring();

 private:
  void Loop();

  const Options options_;
  const std::function<bool()> work_;
  std::mutex mu_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace slipway::work
