#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/agent_core.h"
#include "tests/sim/sim_world.h"

namespace slipway::sim {

// An agent's machine and the agent process on it: AgentCore with a simulated journal, containers,
// spools and link. Containers outlive the process, the machine's disk outlives both.
class SimAgent {
 public:
  SimAgent(World& world, int number);

  void Boot();
  void CrashProcess();
  void CrashMachine();
  [[nodiscard]] bool alive() const { return core_.has_value(); }
  [[nodiscard]] std::uint64_t life() const { return life_; }

  void Receive(const std::shared_ptr<Stream>& stream, const protocol::ControllerMessage& message);
  void Closed(const std::shared_ptr<Stream>& stream);

  // 3: what is left of work when nothing is wanted any more; empty: nothing.
  [[nodiscard]] std::string Leftovers() const;

 private:
  enum class Outcome {
    kSuccess,
    kBuildFails,
    kNetworkFails,
    kInfrastructureFails,
    kPlatformRefuses
  };
  struct Container {
    std::uint64_t generation = 0;
    protocol::TaskKind kind = protocol::TaskKind::kBuild;
    bool alive = true;
    bool ready = false;  // a publish that stands before its client
    bool client_started = false;
    bool canceling = false;
    int writes_left = 0;
    Outcome outcome = Outcome::kSuccess;
    std::optional<protocol::AttemptResult> result;  // durable, without log summary
  };
  struct Spool {
    SimFile file;
    std::size_t begin = 0;  // freed below
  };

  void Apply(agent::Event event);
  void Perform(std::vector<agent::Action> actions);
  void Do(const agent::Send& action);
  void Do(const agent::SendLog& action);
  void Do(const agent::WriteJournal& action);
  void Do(const agent::StartAttempt& action);
  void Do(const agent::AdoptAttempt& action);
  void Do(const agent::CancelAttempt& action);
  void Do(const agent::DeleteAttempt& action);
  void Do(const agent::GivePermit& action);
  void Do(const agent::DenyPermit& action);
  void Do(const agent::FreeSpool& action);
  void Do(const agent::PrepareImages&) {}
  void Do(const agent::Drained&) {}

  void StartContainer(const AttemptKey& key, protocol::TaskKind kind);
  void StartClient(const AttemptKey& key, const std::string& nonce);
  void Work(const AttemptKey& key, std::uint64_t generation);
  void End(const AttemptKey& key, Container& container, std::optional<protocol::Failure> failure);
  void Doorbell(const AttemptKey& key);
  protocol::LogSummary SummaryOf(const AttemptKey& key);
  void SyncSpool(const AttemptKey& key);
  bool MarkerSynced(const AttemptKey& key) const;
  void TryConnect();
  void ArmTick();
  // Runs `what` later unless the process has died by then.
  void Later(Duration delay, std::function<void()> what);

  World& world_;
  const int number_;

  // The machine.
  std::vector<agent::JournalEntry> journal_;
  std::size_t journal_synced_ = 0;
  std::map<AttemptKey, Container> containers_;
  std::map<AttemptKey, Spool> spools_;
  std::map<AttemptKey, int> build_starts_;
  std::uint64_t last_generation_ = 0;

  // The process.
  std::optional<agent::AgentCore> core_;
  std::uint64_t life_ = 0;
  std::shared_ptr<Stream> stream_;
  agent::JournalId last_id_ = 0;
  bool sync_armed_ = false;
  std::optional<MonoTime> tick_armed_;
};

}  // namespace slipway::sim
