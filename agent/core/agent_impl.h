#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/core/agent_core.h"
#include "agent/core/log_sender.h"

// Private to the agent core library.
namespace slipway::agent {

class AgentCore::Impl {
 public:
  explicit Impl(AgentOptions options) : options_(std::move(options)) {}

  std::vector<Action> Load(const std::vector<JournalEntry>& journal, MonoTime now);
  std::vector<Action> Apply(Event event, MonoTime now, WallTime wall);
  [[nodiscard]] std::optional<MonoTime> NextDeadline() const;
  [[nodiscard]] std::vector<JournalEntry> Snapshot() const;
  [[nodiscard]] std::vector<AttemptView> Attempts() const;

 private:
  struct Attempt {
    explicit Attempt(std::uint64_t window_bytes) : log(window_bytes) {}

    AttemptKey key;
    protocol::TaskKind kind = protocol::TaskKind::kBuild;
    // What is on the disk; only that is told to the controller.
    protocol::AttemptPhase synced = protocol::AttemptPhase::kAccepted;
    bool accept_synced = false;

    std::optional<std::string> spec;  // start was ordered
    bool started = false;             // StartAttempt or AdoptAttempt was given out
    int starts = 0;
    bool canceling = false;
    // It is canceled because the agent is to stop, not because anybody gave the task up.
    bool hurried = false;
    bool deleting = false;

    std::optional<Sha256Digest> permit_wanted;  // a publish waits for its permit
    // When each request for it was made, by sequence; the newest few.
    std::map<std::uint64_t, MonoTime> permit_asked;
    std::optional<std::string> nonce;  // the marker was written
    // The client may have been started: the permit was given, or the marker is from an earlier
    // process.
    bool client_may_run = false;

    std::optional<protocol::AttemptResult> result;
    bool result_sent = false;  // since the last sync
    // What the controller does not have of the log by now, it never gets.
    bool spool_closed = false;
    std::vector<protocol::StepReport> steps;
    LogSender log;
  };

  // What an entry on the disk allows.
  struct AfterSync {
    JournalId id = 0;
    JournalEntry entry;
    protocol::Permit permit;  // with JournalPublishStarted
    MonoTime valid_until;
  };

  void On(Connected& event);
  void On(Disconnected& event);
  void On(Received& event);
  void On(JournalSynced& event);
  void On(StepHappened& event);
  void On(LogGrew& event);
  void On(PublishReady& event);
  void On(AttemptEnded& event);
  void On(AttemptVanished& event);
  void On(AttemptNotTakenUp& event);
  void On(AttemptDeleted& event);
  void On(HealthChanged& event);
  void On(ImagesChanged& event);
  void On(DrainRequested& event);
  void On(HurryRequested& event);
  void On(Disowned& event);
  void On(Tick& event);

  void On(protocol::Desired& desired);
  void On(protocol::LogAck& ack);
  void On(protocol::Permit& permit);
  void On(protocol::PermitDenied& denied);
  void Offer(const protocol::DesiredAttempt& desired);
  void Start(Attempt& attempt, const std::string& spec);
  void Cancel(Attempt& attempt);
  void Forget(Attempt& attempt);

  void AfterAccepted(Attempt& attempt);
  void AfterRunning(Attempt& attempt);
  void AfterMarker(Attempt& attempt, AfterSync& after);
  void AfterFinished(Attempt& attempt);

  void Finish(Attempt& attempt, protocol::AttemptResult result);
  void FinishUnknown(Attempt& attempt, std::string message, const protocol::LogSummary& log,
                     bool client_ended);
  // Tells the controller that a promise is not kept. It stays held until the controller says
  // otherwise, because the order to start may be on its way.
  void HandBack(const Attempt& attempt);
  void SayIfDrained();
  void Sync();
  void MeasureClock(WallTime controller);
  void PumpLog(Attempt& attempt);
  void SendResult(Attempt& attempt);
  // REQUIRES: a permit is wanted.
  void AskPermit(Attempt& attempt);
  void Write(JournalEntry entry, protocol::Permit permit = {}, MonoTime valid_until = {});
  // The attempt is gone: what its entries would allow does not hold for one that is offered under
  // the same key.
  void DropUnsynced(const AttemptKey& key);
  void SendMessage(protocol::AgentMessage message);
  [[nodiscard]] protocol::AttemptResult Failed(protocol::Failure failure,
                                               const protocol::LogSummary& log) const;
  // nullptr: not held, or being deleted.
  Attempt* Live(const AttemptKey& key);

  // Constant after construction.
  const AgentOptions options_;

  // Confined to the agent's main strand.
  std::map<AttemptKey, Attempt> attempts_;
  std::deque<AfterSync> after_sync_;
  JournalId last_journal_ = 0;
  Epoch epoch_;
  bool draining_ = false;
  bool hurrying_ = false;
  protocol::AgentHealth health_;
  std::vector<protocol::ImageReport> images_;
  bool connected_ = false;
  std::uint64_t sequence_ = 0;  // of the newest inventory of this stream
  std::uint64_t permit_requests_ = 0;
  std::set<AttemptKey> inventoried_;  // what it listed
  MonoTime next_sync_;
  MonoTime last_sync_;

  // Of the present call.
  MonoTime now_;
  WallTime wall_;
  std::vector<Action> actions_;
};

}  // namespace slipway::agent
