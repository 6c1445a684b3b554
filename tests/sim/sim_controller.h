#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/protocol/messages.h"
#include "controller/agent_gateway/session_core.h"
#include "controller/logs/log_cursor.h"
#include "controller/scheduler/scheduler_core.h"
#include "tests/sim/sim_world.h"

namespace slipway::sim {

// A controller process: the shells around SchedulerCore, SessionCore and LogCursor, in virtual
// time.
class SimController {
 public:
  explicit SimController(World& world);

  [[nodiscard]] bool alive() const { return alive_; }
  // `machine`: bytes of logs not synced are lost with it.
  void Crash(bool machine);

  void Opened(const std::shared_ptr<Stream>& stream);
  void Receive(const std::shared_ptr<Stream>& stream, protocol::AgentMessage message);
  void Closed(const std::shared_ptr<Stream>& stream);

  // `done` hears the answer unless the process dies.
  void Call(scheduler::Event event, scheduler::Ticket ticket,
            std::function<void(const scheduler::Reply&)> done);
  scheduler::Ticket NewTicket() { return scheduler::Ticket(++last_ticket_); }
  [[nodiscard]] std::size_t unfinished() const { return core_.unfinished(); }

 private:
  struct Session {
    std::shared_ptr<Stream> stream;
    agent_gateway::SessionCore core;
  };
  struct Log {
    logs::LogCursor cursor;
    bool syncing = false;
  };

  void Load();
  void Enter(scheduler::Event event);
  void RunBatch();
  void NextCommit();
  void Committed(const absl::StatusOr<std::vector<absl::Status>>& answer);
  void Do(const scheduler::Effects& effects);
  void SendOut(const scheduler::Outgoing& outgoing);
  void CheckTold(const scheduler::Outgoing& outgoing);
  void ArmTick();
  void TakeChunk(const std::shared_ptr<Stream>& stream, const AgentId& agent,
                 const protocol::LogChunk& chunk);
  void Acknowledge(const std::shared_ptr<Stream>& stream, const AttemptKey& key);
  void FillIn(scheduler::ResultReported& event);
  void CheckResults();
  Session* SessionOf(const AgentId& agent, SessionId id);

  World& world_;
  bool alive_ = true;
  Epoch epoch_;
  scheduler::SchedulerCore core_;
  agent_gateway::SessionTable table_;
  std::map<std::uint64_t, Session> sessions_;  // by stream
  std::map<AttemptKey, Log> logs_;
  std::vector<scheduler::Event> inbox_;
  bool busy_ = false;
  bool loading_ = true;
  std::uint64_t last_ticket_ = 0;
  std::map<scheduler::Ticket, std::function<void(const scheduler::Reply&)>> callers_;
  std::optional<MonoTime> tick_armed_;
};

scheduler::SchedulerOptions SimSchedulerOptions();

}  // namespace slipway::sim
