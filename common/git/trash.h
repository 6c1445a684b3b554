#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/fs/unique_fd.h"

namespace slipway::git {

// Takes directories and files out of the way with one rename, and deletes them later at the lowest
// priority, so that no build waits for a deletion. What is left at a stop or crash is deleted after
// the next start. Thread-safe.
class Trash {
 public:
  // `dir` is made when missing. `delay`: time between the last Put and the next deletion.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Trash>> Create(std::string dir,
                                                                     Duration delay);
  // Stops; deletes nothing more.
  ~Trash();
  Trash(const Trash&) = delete;
  Trash& operator=(const Trash&) = delete;

  // Moves `path` away. Ok when there is nothing. Never follows a symbolic link at its end.
  [[nodiscard]] absl::Status Put(const std::string& path);
  // The same for `name` in an open directory.
  [[nodiscard]] absl::Status PutAt(int dir_fd, const std::string& name);

  // Waits until nothing is left to delete. False: `timeout` came first.
  [[nodiscard]] bool WaitUntilEmpty(Duration timeout);

 private:
  Trash(std::string dir, int dir_fd, Duration delay);
  void Work(const std::stop_token& stop);

  // Constant after construction.
  const std::string dir_;
  const fs::UniqueFd dir_fd_;
  const Duration delay_;
  // Own synchronisation.
  std::atomic<std::uint64_t> next_{0};
  std::mutex mu_;
  std::condition_variable_any changed_;
  // Guarded by mu_.
  std::uint64_t puts_ = 0;
  bool dirty_ = true;
  // Last: stops and joins before the rest goes.
  std::jthread worker_;
};

}  // namespace slipway::git
