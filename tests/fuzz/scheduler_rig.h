#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/protocol/messages.h"
#include "controller/agent_gateway/session_core.h"
#include "controller/scheduler/scheduler_core.h"
#include "tests/sim/sim_store.h"

namespace slipway::fuzz {

// A controller without its shell: SchedulerCore, a SessionCore per agent, and a store that holds
// every change to its guard. Agents may say anything; after every commit it is checked that
//   the core asks for nothing that the rows refuse, and rows only move along the arrows of
//   domain::MayBecome; attempt numbers rise by one, and never once a permit exists;
//   an attempt held by one agent is not touched by what another agent says;
//   what is told (start, permit) is stored; every caller is answered once;
//   a preview is never unknown, released, or remembered to have had a permit;
//   the core's idea of what is current and unfinished is the rows'.
// A violation aborts. Thread-compatible.
class SchedulerRig {
 public:
  static constexpr std::size_t kAgents = 3;
  static constexpr std::size_t kMaxRuns = 6;

  SchedulerRig();

  // Several events to one commit, from now on until Commit.
  void Gather() { gathering_ = true; }
  enum class Outcome { kCommitted, kLostBefore, kLostAfter };
  void Commit(Outcome outcome = Outcome::kCommitted);

  // `request`: one of few, so that some are repeated. `after`: what is done with the product, a
  // publish or a preview.
  void Submit(std::uint8_t request, std::optional<protocol::TaskKind> after, bool needs_linux,
              std::int32_t priority);
  void Cancel(const TaskId& task);
  void Open(std::size_t agent);
  void Close(std::size_t agent);
  // A no-op without a session; an error of SessionCore closes it.
  void Hear(std::size_t agent, protocol::AgentMessage message);
  void Advance(Duration duration);

  // By number, and the attempt that its row has; beyond the last one a task that never was.
  [[nodiscard]] AttemptKey KeyOf(std::size_t number) const;

 private:
  struct AgentEnd {
    AgentId id;
    std::optional<agent_gateway::SessionCore> session;
  };

  // What the controller does as it begins and after a commit in doubt.
  void Load();
  void Enter(const scheduler::Event& event);
  void CompleteResult(scheduler::ResultReported& event);
  std::vector<absl::Status> Store(const std::vector<store::Change>& changes);
  void CheckEffects(const scheduler::Effects& effects);
  void CheckUntouched(const std::map<TaskId, domain::Task>& before,
                      const std::set<AgentId>& speakers) const;
  void CheckAgreement() const;
  scheduler::Ticket NewTicket();
  [[nodiscard]] WallTime wall() const { return WallTime(now_.time_since_epoch()); }

  scheduler::SchedulerCore core_;
  const sim::Planted planted_;
  sim::SimStore store_{planted_};
  Epoch epoch_;
  agent_gateway::SessionTable sessions_;
  std::vector<AgentEnd> agents_;
  std::vector<TaskId> tasks_;
  MonoTime now_{std::chrono::hours(1)};
  bool gathering_ = false;
  std::size_t runs_ = 0;
  std::uint64_t last_ticket_ = 0;
  std::uint64_t last_nonce_ = 0;
  std::set<scheduler::Ticket> waiting_;
};

}  // namespace slipway::fuzz
