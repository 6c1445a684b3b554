#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"

namespace slipway::store::pg {

// A fixed number of named threads for calls that block. The queue is bounded: who comes when it is
// full is told so instead of being kept waiting.
//
// Thread-safe. Destruction runs what is queued, then ends; it must not happen on a worker.
class WorkerPool {
 public:
  // Threads are called "`name`-0", "`name`-1", … (15 bytes at most are kept).
  WorkerPool(std::string name, int threads, std::size_t queue_limit);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  ~WorkerPool();

  // Runs `work` on some worker, in the order of submission for each worker that gets free.
  // kResourceExhausted POOL_BUSY: the queue is full; `work` is dropped.
  absl::Status Submit(std::function<void()> work);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::store::pg
