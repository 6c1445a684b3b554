#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "controller/logs/log_store.h"
#include "controller/logs/log_tail.h"

namespace slipway::logs {

// Who follows which log. A thread of its own wakes them, so that many followers do not slow the one
// who appends, and the more there are the more bytes they get at once. Thread-safe.
class LogFollowers {
 public:
  using Options = LogStore::FollowerOptions;

  explicit LogFollowers(Options options);
  // REQUIRES: nobody follows.
  ~LogFollowers();
  LogFollowers(const LogFollowers&) = delete;
  LogFollowers& operator=(const LogFollowers&) = delete;

  // As LogStore::Follow.
  [[nodiscard]] std::unique_ptr<LogFollow> Follow(const AttemptKey& key,
                                                  std::function<void()> wake);
  // For whoever appends.
  [[nodiscard]] std::shared_ptr<LogTail> TailOf(const AttemptKey& key);

  // There are more bytes.
  void Grew(const AttemptKey& key);
  // It takes no more bytes, and the disk has them all.
  void Ended(const AttemptKey& key);

 private:
  class Handle;
  struct Subscription;
  struct Log {
    std::vector<std::shared_ptr<Subscription>> followers;
    MonoTime rests_until;
    bool due = false;  // is in due_
  };

  std::shared_ptr<LogTail> TailOfLocked(const AttemptKey& key);
  void Leave(const AttemptKey& key, const std::shared_ptr<Subscription>& subscription);
  void WakeLoop();
  // REQUIRES: mu_.
  void MakeDue(const AttemptKey& key);

  const Options options_;
  const SystemClock clock_;
  LogTails tails_;

  std::mutex mu_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::map<AttemptKey, std::weak_ptr<LogTail>> tail_of_;
  std::map<AttemptKey, Log> logs_;  // those that somebody follows
  std::set<std::pair<MonoTime, AttemptKey>> due_;

  std::thread waker_;
};

}  // namespace slipway::logs
