#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/core/agent_core.h"
#include "tests/sim/process.h"
#include "tests/sim/sim_world.h"

namespace slipway::sim {

// An agent's machine and the agent process on it: AgentCore with a simulated journal, containers,
// spools and link. Containers outlive the process, the machine's disk outlives both.
class SimAgent {
 public:
  // `like`: the number of the machine whose place it takes, which has its labels; else its own.
  SimAgent(World& world, int number, int like);
  static AgentId IdOf(int number) { return AgentId("agent-" + std::to_string(number)); }

  // ---- what happens to it
  void Boot();
  void CrashProcess();
  void CrashMachine();
  void Freeze(Duration length);
  void Suspend(Duration length);
  void StepWall(Duration by) { process_.StepWall(by); }
  void Receive(const std::shared_ptr<Stream>& stream, const protocol::ControllerMessage& message);
  void Closed(const std::shared_ptr<Stream>& stream);

  // ---- what is seen
  [[nodiscard]] AgentId id() const { return IdOf(number_); }
  // Whose labels it has.
  [[nodiscard]] int like() const { return like_; }
  // It was told that it is thrown out, and has ended for good.
  [[nodiscard]] bool left() const { return left_; }
  [[nodiscard]] bool alive() const { return process_.alive(); }
  // What the synced journal says of an attempt.
  [[nodiscard]] JournalState Durable(const AttemptKey& key) const;
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
    bool ready = false;    // a publish that stands before its client
    bool blocked = false;  // its spool is full
    bool client_started = false;
    // The client is ended then, by the machine's clock.
    MonoTime client_deadline;
    bool canceling = false;
    int writes_left = 0;
    Outcome outcome = Outcome::kSuccess;
    std::optional<protocol::AttemptResult> result;  // durable, without log summary
  };
  struct Spool {
    SimFile file;
    std::size_t begin = 0;  // freed below
  };
  using Actions = std::shared_ptr<std::vector<agent::Action>>;

  // The process.
  void Apply(agent::Event event);
  void Perform(const Actions& actions, std::size_t from);
  void DiedBefore(const std::vector<agent::Action>& actions, std::size_t from);
  void Do(agent::Send& action);
  void Do(agent::SendLog& action);
  void Do(agent::WriteJournal& action);
  void Do(agent::StartAttempt& action);
  void Do(agent::AdoptAttempt& action);
  void Do(agent::CancelAttempt& action);
  void Do(agent::DeleteAttempt& action);
  void Do(agent::GivePermit& action);
  void Do(agent::DenyPermit& action);
  void Do(agent::FreeSpool& action);
  void Do(agent::PrepareImages&) {}
  void Do(agent::Drained&);
  void SyncJournal();
  void LoseUnsyncedJournal();
  void NoteSynced(std::size_t from);
  void BootLater();
  void TryConnect();
  // The farm says that it has thrown this agent out.
  void BeGone();
  void ArmTick();
  void SendOut(protocol::AgentMessage message);
  void Adopt(const agent::AdoptAttempt& action);
  void FailToAdopt(const agent::AdoptAttempt& action);
  void GiveUp(const AttemptKey& key);
  // Something happened in the container; the runner looks when its process lives.
  void Doorbell(const AttemptKey& key);
  void SyncSpool(const AttemptKey& key);
  protocol::LogSummary SummaryOf(const AttemptKey& key);

  // The machine.
  void StartContainer(const AttemptKey& key, protocol::TaskKind kind);
  void StartClient(const AttemptKey& key, const std::string& nonce, Duration deadline);
  void WorkLater(const AttemptKey& key, Duration delay);
  void Work(const AttemptKey& key);
  void End(const AttemptKey& key, Container& container, std::optional<protocol::Failure> failure);
  protocol::ProbeOutcome Look(const AttemptKey& key);

  World& world_;
  const int number_;
  const int like_;
  bool left_ = false;

  Process machine_;
  std::vector<agent::JournalEntry> journal_;
  std::size_t journal_synced_ = 0;
  std::map<AttemptKey, JournalState> durable_;  // by the synced part
  std::map<AttemptKey, Container> containers_;
  std::map<AttemptKey, Spool> spools_;
  std::uint64_t last_generation_ = 0;

  Process process_;
  std::optional<agent::AgentCore> core_;
  std::shared_ptr<Stream> stream_;
  agent::JournalId last_id_ = 0;
  bool sync_armed_ = false;
  std::optional<MonoTime> tick_armed_;
  std::uint64_t ticks_armed_ = 0;
  std::map<AttemptKey, int> results_sent_;
  std::set<AttemptKey> deleting_;    // or deleted in this life
  std::set<AttemptKey> unfollowed_;  // planted: whose spool nobody looks at any more
  // Orders of this life whose outcome is not in the journal yet.
  std::set<AttemptKey> canceled_;
  std::set<AttemptKey> denied_;
  std::set<AttemptKey> forgotten_;
};

}  // namespace slipway::sim
