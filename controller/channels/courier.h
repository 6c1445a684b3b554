#pragma once

#include <memory>

#include "controller/agent_gateway/gateway.h"
#include "controller/channels/delivery.h"
#include "controller/logs/log_store.h"
#include "controller/scheduler/scheduler.h"

namespace slipway::channels {

// The controller's own executor: to the scheduler an agent whose label is executor=controller, in
// this process, which hands products to channels. What it holds dies with the process; of a
// publish that had leave the next one knows as little as of a lost agent's, so that it is unknown.
//
// Thread-safe.
class Courier {
 public:
  struct Options {
    // Attempts at the same time; each has a thread.
    int slots = 8;
    Duration sync_interval = std::chrono::seconds(15);
  };
  // All must outlive it.
  struct Deps {
    scheduler::Scheduler& scheduler;
    agent_gateway::Gateway& gateway;
    logs::LogStore& logs;
    const Clock& clock;
  };
  // Begins to take work. The scheduler has started.
  [[nodiscard]] static std::unique_ptr<Courier> Start(const Options& options, const Deps& deps,
                                                      const DeliveryDeps& delivery);
  // Ends what is under way and waits for it.
  virtual ~Courier() = default;
};

}  // namespace slipway::channels
