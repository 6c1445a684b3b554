#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "controller/scheduler/events.h"
#include "controller/scheduler/work_orders.h"

namespace slipway::scheduler {

// Tells what was committed, batch after batch, on a thread of its own: while it sends what the last
// batch came to, the next one is decided and stored.
//
// Tell, Drain and Stop are for one thread at a time.
class Announcer {
 public:
  using Answer = std::function<void(const Reply&)>;

  // `answer` is called on the announcer's thread; it must not block. `orders` must outlive this.
  Announcer(WorkOrders& orders, Answer answer);
  // As Stop.
  ~Announcer();

  // `sink` must outlive Stop.
  void Start(SessionSink& sink);
  // REQUIRES: what the effects say is stored. Waits while some batches are still to be told, so
  // that a sink or a database that does not answer holds up the scheduler, not the memory.
  void Tell(Effects effects);
  // Returns when everything has been told; calls `turn` after each batch.
  void Drain(const std::function<void()>& turn);
  // From now on agents hear nothing more; replies are given, and logs sealed, as before.
  void Hush();
  // Hushes, tells what is left and ends.
  void Stop();

 private:
  void Loop();
  void Perform(Effects effects);
  // Fills in what only WorkOrders know, and sends.
  void Dispatch(Outgoing message);

  WorkOrders& orders_;
  const Answer answer_;
  SessionSink* sink_ = nullptr;

  std::atomic<bool> hushed_ = false;
  std::mutex mu_;
  std::condition_variable changed_;
  bool stop_ = false;
  bool telling_ = false;
  std::deque<Effects> untold_;
  std::thread thread_;
};

}  // namespace slipway::scheduler
