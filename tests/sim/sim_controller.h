#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/protocol/messages.h"
#include "controller/agent_gateway/session_core.h"
#include "controller/logs/log_cursor.h"
#include "controller/scheduler/scheduler_core.h"
#include "tests/sim/process.h"
#include "tests/sim/sim_world.h"

namespace slipway::sim {

// A controller process: the shells around SchedulerCore, SessionCore and LogCursor, in virtual
// time.
class SimController {
 public:
  explicit SimController(World& world);

  // ---- what happens to it
  // `machine`: bytes of logs not synced are lost with it.
  void Crash(bool machine);
  void Freeze(Duration length);
  void StepWall(Duration by) { process_.StepWall(by); }
  void Opened(const std::shared_ptr<Stream>& stream);
  void Receive(const std::shared_ptr<Stream>& stream, protocol::AgentMessage message);
  void Closed(const std::shared_ptr<Stream>& stream);
  // `done` hears the answer unless the process dies.
  void Call(scheduler::Event event, scheduler::Ticket ticket,
            std::function<void(const scheduler::Reply&)> done);
  scheduler::Ticket NewTicket() { return scheduler::Ticket(++last_ticket_); }

  // ---- what is seen
  [[nodiscard]] bool alive() const { return process_.alive(); }
  [[nodiscard]] bool frozen() const { return process_.frozen(); }
  // Takes streams and calls.
  [[nodiscard]] bool serving() const { return alive() && epoch_ > Epoch(); }
  [[nodiscard]] Epoch epoch() const { return epoch_; }
  // Takes no stream of this agent: it has left the farm, as the row says or this process knows.
  [[nodiscard]] bool Refuses(const AgentId& agent) const;

 private:
  struct Session {
    std::shared_ptr<Stream> stream;
    agent_gateway::SessionCore core;
  };
  struct Log {
    logs::LogCursor cursor;
    bool syncing = false;
  };
  using Sends = std::shared_ptr<const std::vector<scheduler::Outgoing>>;

  void Lead(int tries);
  void Watch();
  void Load();
  void Enter(scheduler::Event event);
  void RunBatch();
  void ApplyInbox();
  void NextCommit();
  void Commit(SimStore::Transaction transaction);
  void Committed(const absl::StatusOr<std::vector<absl::Status>>& answer);
  void Perform(const scheduler::Effects& effects, const std::function<void()>& then);
  void SendAll(const Sends& sends, std::size_t from, const std::function<void()>& then);
  void SendOut(const scheduler::Outgoing& outgoing);
  void ArmTick();
  void WatchSession(std::uint64_t stream);
  void TakeChunk(const std::shared_ptr<Stream>& stream, const AgentId& agent,
                 const protocol::LogChunk& chunk);
  void SyncLog(const std::shared_ptr<Stream>& stream, const AttemptKey& key);
  void Acknowledge(const std::shared_ptr<Stream>& stream, const AttemptKey& key);
  void FillIn(scheduler::ResultReported& event);
  // What a probe's answer says of its publish.
  [[nodiscard]] std::optional<scheduler::Resolve> ResolveBy(
      const domain::Task& probe, const protocol::AttemptResult& result) const;
  void Disconnect(const AgentId& agent);
  void Dismiss(const AgentId& agent);
  Session* SessionOf(const AgentId& agent, SessionId id);
  // The batch is lost: `stored` or not, nobody was told.
  void HitBatch(bool stored);
  void HitUnread(const scheduler::Event& event);
  [[nodiscard]] MonoTime AwakeSince() const;

  World& world_;
  Process process_;
  Epoch epoch_;
  scheduler::SchedulerCore core_;
  agent_gateway::SessionTable table_;
  std::map<std::uint64_t, Session> sessions_;  // by stream
  std::map<AttemptKey, Log> logs_;
  std::vector<scheduler::Event> inbox_;
  // The batch that is being committed, and whether it has been.
  std::vector<scheduler::Event> events_;
  std::vector<store::Change> changes_;
  MonoTime decided_at_;
  MonoTime awake_since_;
  std::optional<SimStore::Transaction> transaction_;
  bool stored_ = false;
  bool busy_ = false;
  bool loading_ = true;
  MonoTime loaded_at_;
  std::uint64_t last_ticket_ = 0;
  std::map<scheduler::Ticket, std::function<void(const scheduler::Reply&)>> callers_;
  std::set<AgentId> dismissed_;
  std::optional<MonoTime> tick_armed_;
  std::uint64_t ticks_armed_ = 0;
};

// Leases may be shorter, as the scenario says.
scheduler::SchedulerOptions SimSchedulerOptions();
// The word of a person, or of `probe`, about a publish of unknown outcome.
scheduler::Resolve ResolutionOf(const TaskId& publish, bool published, const TaskId& probe = {});
// Of every publish client.
inline constexpr Duration kClientDeadline = std::chrono::seconds(6);

}  // namespace slipway::sim
