#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/journal.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/protocol/messages.h"
#include "controller/domain/task.h"
#include "controller/scheduler/events.h"
#include "controller/store/changes.h"

namespace slipway::sim {

class World;

// "task/attempt"
[[nodiscard]] std::string NameOf(const AttemptKey& key);

// The secret of a task's permit, as nobody else may ever write it.
[[nodiscard]] std::string SecretOf(const TaskId& task);

// The invariants of docs/protocol.md, by their numbers, as judges who see the whole world and what
// really happened in it. The first one that does not hold ends the play.
class Oracles {
 public:
  explicit Oracles(World& world) : world_(world) {}

  void Violation(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }
  [[nodiscard]] bool failed() const { return !violation_.empty(); }
  [[nodiscard]] const std::string& violation() const { return violation_; }

  // ---- what an agent does
  // `told_by`: the term in which the message was said, whatever it claims.
  void Received(int agent, Epoch told_by, bool obeyed);
  // The highest term in the synced journal.
  void EpochSynced(int agent, Epoch epoch);
  void Started(const AttemptKey& key);                                 // 4
  void ContainerMade(const AttemptKey& key, protocol::TaskKind kind);  // 5
  void LogSent(const AttemptKey& key, std::uint64_t offset, std::uint64_t end, std::uint64_t begin,
               std::uint64_t synced);                                                 // 6
  void SpoolFreed(const AttemptKey& key, std::uint64_t below);                        // 6
  void SpoolHolds(const AttemptKey& key, std::uint64_t bytes, std::uint64_t budget);  // 6
  void Deleted(const AttemptKey& key, const AgentId& agent);                          // 7
  void ClientStarted(const AttemptKey& key, const std::string& nonce, bool marker_synced,
                     bool clock_stood);                     // 9
  void Published(const AttemptKey& key, bool clock_stood);  // 9
  // What a probe's client saw.
  void Probed(const AttemptKey& key, protocol::ProbeVerdict verdict) {
    answers_[key.task] = verdict;
  }
  // How it really ended: the log it wrote, and the failure (nullopt: success, or it vanished).
  void LogEnded(const AttemptKey& key, const std::string& log) { ended_logs_[key] = log; }
  void FailureOf(const AttemptKey& key, protocol::FailureClass klass) { failures_[key] = klass; }
  void Journalled(const agent::JournalEntry& entry);  // 11
  void Said(const protocol::AgentMessage& message);   // 11

  // ---- what a controller does
  struct Batch {
    const std::vector<scheduler::Event>& events;
    const std::vector<store::Change>& changes;
    const std::vector<absl::Status>& statuses;
    // When the core decided on the changes; and since when it had its rows then, and had not stood
    // still for long.
    MonoTime decided_at;
    MonoTime awake_since;
  };
  void Committed(const Batch& batch);                           // 1, 2, 6, 8, 9, 10, 11, 12
  void Told(Epoch epoch, const scheduler::Outgoing& outgoing);  // 2, 9
  void SubmitAnswered(const TaskId& first_task, const absl::Status& status);  // 2
  void CancelAnswered(const TaskId& task, const absl::Status& status);        // 2
  void ResolveAnswered(const TaskId& task, const absl::Status& status);       // 2
  void ControllerClockStepped() { controller_clock_stepped_ = true; }
  // Somebody is about to order that the agent leaves: it may hear so though that is never stored.
  void LeaveOrdered(const AgentId& agent) { unwanted_.insert(agent); }

  // ---- the end
  void CheckEnd(std::size_t answered);

  // How often each judge had something to judge: one that never had shows nothing.
  [[nodiscard]] const std::array<std::uint64_t, 13>& cases() const { return cases_; }
  [[nodiscard]] bool published(const TaskId& task) const { return published_.contains(task); }
  // Whoever looks at the platform sees it: later than it happened.
  [[nodiscard]] bool Shown(const TaskId& task) const;

 private:
  void Case(std::size_t invariant) { ++cases_.at(invariant); }
  // `queued_why`: why it is tried again; empty: it is not.
  void JudgeEnd(const Batch& batch, const AttemptKey& key, const std::string& queued_why);
  void Judge(const Batch& batch, std::size_t index);
  void JudgeOffer(const Batch& batch, const store::OfferTask& offer);              // 3
  void JudgeTurn(const TaskId& task);                                              // 4
  void JudgeOrder(const store::SetAvailability& order);                            // 3
  void JudgeSpeaker(const Batch& batch, const AttemptKey& key);                    // 3
  void JudgeFinish(const Batch& batch, const store::FinishTask& finish);           // 8, 9, 10, 11
  void JudgeResolution(const TaskId& task, const domain::Resolution& resolution);  // 9
  void JudgeTimeout(const Batch& batch, const AttemptKey& key);                    // 8, 10
  void JudgePreview(const store::Change& change);                                  // 9
  [[nodiscard]] bool IsPreview(const TaskId& task) const;
  void CheckResults();
  void NoSecret(std::string_view text, const char* where);
  void NoSecret(const protocol::AttemptResult& result, const char* where);

  World& world_;
  std::string violation_;
  std::array<std::uint64_t, 13> cases_{};  // by invariant

  std::map<int, Epoch> epochs_;                            // synced, by agent
  std::map<AgentId, MonoTime> resting_since_;              // ordered to take no work
  std::map<AgentId, MonoTime> gone_since_;                 // retired or revoked
  std::set<AgentId> unwanted_;                             // somebody asked to revoke or retire it
  std::set<AttemptKey> open_;                              // running, as stored
  std::map<AttemptKey, AgentId> holders_;                  // whom it was offered to
  std::map<AttemptKey, int> containers_;                   // of builds
  std::map<AttemptKey, std::string> ended_logs_;           // what an ended attempt had written
  std::map<AttemptKey, protocol::FailureClass> failures_;  // what it came to
  std::map<TaskId, int> clients_;
  std::map<TaskId, MonoTime> waits_stored_;  // when it was stored that it is queued, or will be
  struct Publication {
    MonoTime at;
    bool clock_stood = false;
  };
  std::map<TaskId, Publication> published_;
  std::map<TaskId, protocol::ProbeVerdict> answers_;  // the newest of each probe
  std::set<TaskId> said_not_published_;
  struct Granted {
    std::string nonce;
    MonoTime until;  // by the world's clock
  };
  std::map<TaskId, Granted> granted_;
  bool controller_clock_stepped_ = false;
};

}  // namespace slipway::sim
