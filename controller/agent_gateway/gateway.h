#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "controller/agent_gateway/session_core.h"
#include "controller/domain/agent.h"
#include "controller/domain/image_order.h"
#include "controller/scheduler/scheduler.h"
#include "controller/store/catalog_store.h"
#include "controller/work/work_pool.h"

namespace slipway::agent_gateway {

// Overwrites the secret that a message may carry.
void WipeSecret(scheduler::SessionSink::Body& body);

// A call that lasts until somebody ends it. Thread-safe.
class OpenStream {
 public:
  virtual ~OpenStream() = default;
  // Ends the stream with this status; later calls do nothing.
  virtual void End(const absl::Status& status) = 0;
};

// One open agent stream, as the gateway sees it. Thread-safe.
class AgentStream : public OpenStream {
 public:
  virtual void Send(scheduler::SessionSink::Body body) = 0;
  // Ends the stream when its agent has been silent for too long.
  virtual void Tick(MonoTime now) = 0;
};

// Which streams are open and which is each agent's current one. Passes the scheduler's messages on,
// watches for silence, ends the streams of an agent that leaves the farm, and all of them at
// shutdown so that agents reconnect elsewhere or later.
//
// Thread-safe. Outlives every stream: the server is shut down first.
class Gateway final : public scheduler::SessionSink {
 public:
  // gRPC has few threads for callbacks, so streams wait for the database and the disk on these.
  struct Pools {
    work::WorkPool& database;
    work::WorkPool& disk;
  };
  Gateway(scheduler::Scheduler& scheduler, store::AgentStore& agents, const Clock& clock,
          Pools pools, Epoch epoch, SessionOptions options = {});
  ~Gateway() override;

  void Send(SessionId session, Body body) override;

  void Disconnect(const AgentId& agent) override;
  void Dismiss(const AgentId& agent, const domain::Availability& why) override;

  // A number for a new stream of the agent; the older stream of the same agent is ended.
  // kUnavailable, STOPPING; kUnauthenticated: it was dismissed meanwhile.
  [[nodiscard]] absl::StatusOr<SessionId> Open(const AgentId& agent,
                                               std::weak_ptr<AgentStream> stream);
  void Close(const AgentId& agent, SessionId session);

  // Any other long call of the agent, to be ended at shutdown or with its dismissal. Errors as of
  // Open.
  [[nodiscard]] absl::Status Attach(const AgentId& agent, const OpenStream* key,
                                    std::weak_ptr<OpenStream> stream);
  void Detach(const OpenStream* key);

  // What an agent said about itself, for people.
  struct About {
    std::map<std::string, std::string> labels;
    std::string version;
    protocol::AgentHealth health;
    std::vector<protocol::ImageReport> images;
  };
  void NoteInventory(const AgentId& agent, About about);
  // Of agents that are connected.
  [[nodiscard]] std::optional<About> AboutAgent(const AgentId& agent) const;

  // The images that agents should have from now on; those connected are told at once.
  void SetImageOrders(std::vector<domain::ImageOrder> orders);
  // What one agent should have, each image once, under its highest number.
  [[nodiscard]] std::vector<protocol::ImageOrder> ImagesFor(const AgentId& agent) const;

  // Ends every stream and takes no new one.
  void Shutdown();

  [[nodiscard]] scheduler::Scheduler& scheduler() { return scheduler_; }
  [[nodiscard]] const Clock& clock() const { return clock_; }
  [[nodiscard]] Epoch epoch() const { return epoch_; }
  [[nodiscard]] const SessionOptions& options() const { return options_; }
  [[nodiscard]] const Pools& pools() const { return pools_; }

 private:
  void TickLoop();
  // REQUIRES: mu_.
  [[nodiscard]] std::vector<std::shared_ptr<OpenStream>> StreamsOf(const AgentId& agent) const;
  // REQUIRES: mu_. Why no stream of the agent may begin.
  [[nodiscard]] absl::Status CheckWelcome(const AgentId& agent) const;

  scheduler::Scheduler& scheduler_;
  store::AgentStore& agents_;
  const Clock& clock_;
  const Pools pools_;
  const Epoch epoch_;
  const SessionOptions options_;

  mutable std::mutex mu_;
  std::condition_variable wake_;
  bool stopping_ = false;
  SessionTable table_;
  std::map<SessionId, std::weak_ptr<AgentStream>> streams_;
  struct Other {
    AgentId agent;
    std::weak_ptr<OpenStream> stream;
  };
  std::map<const OpenStream*, Other> others_;
  // Left the farm in this process's time: whoever was identified just before gets no stream.
  std::map<AgentId, absl::Status> dismissed_;
  std::map<AgentId, About> about_;
  std::vector<domain::ImageOrder> image_orders_;
  // Agents whose row is to be touched, by the tick thread, so that no stream waits for the
  // database.
  store::AgentStore::Seen to_touch_;

  std::thread ticker_;
};

}  // namespace slipway::agent_gateway
