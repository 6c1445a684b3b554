// Any controller and any course of events, with crashes of the agent's process and machine: what
// AgentCore tells and starts is on its disk before, a publish gets leave at most once, and the
// spool is freed only below what the controller said it has.
#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "agent/core/agent_core.h"
#include "common/base/check.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_target.h"

namespace slipway::fuzz {
namespace {

using agent::AgentCore;
using agent::JournalEntry;
using protocol::TaskKind;
using protocol::Want;

constexpr std::uint64_t kMaxTasks = 4;

// Few attempts, so that events meet. The number of a task says its kind.
AttemptKey MakeKey(std::uint8_t choice) {
  const std::uint64_t number = (choice & 0x40) != 0 ? kMaxTasks : choice % kMaxTasks;
  return {TaskId("t" + std::to_string(number)), Attempt(1 + (choice >> 4) % 2)};
}
TaskKind KindOf(const AttemptKey& key) {
  if (key.task.value() == "t0") return TaskKind::kBuild;
  if (key.task.value() == "t2") return TaskKind::kProbe;
  return key.task.value() == "t4" ? TaskKind::kPreview : TaskKind::kPublish;
}

class Machine {
 public:
  Machine() { Start(); }

  // The process dies; with `machine` what was not synced is lost.
  void Crash(bool machine) {
    if (machine) journal_.resize(synced_);
    Start();
  }
  void Apply(agent::Event event) { Perform(core_->Apply(std::move(event), now_, wall())); }
  void Advance(Duration duration) {
    now_ += duration;
    Apply(agent::Tick{});
  }
  void SyncJournal() {
    synced_ = journal_.size();
    Apply(agent::JournalSynced{last_id_});
  }
  void Hear(protocol::ControllerMessage message) {
    const bool heard = connected_ && message.epoch >= highest_;
    if (heard) highest_ = message.epoch;
    const auto* ack = std::get_if<protocol::LogAck>(&message.body);
    if (heard && ack != nullptr) {
      std::uint64_t& durable = told_durable_[ack->key];
      durable = std::max(durable, ack->durable);
    }
    auto actions = core_->Apply(agent::Received{std::move(message)}, now_, wall());
    SLIPWAY_CHECK(actions.empty() || heard);
    Perform(std::move(actions));
  }
  void Connect() {
    connected_ = true;
    Apply(agent::Connected{});
  }
  void Disconnect() {
    connected_ = false;
    Apply(agent::Disconnected{});
  }
  // The runner speaks only of what it was told to start or to adopt.
  void FromRunner(const AttemptKey& key, agent::Event event) {
    if (running_.contains(key)) Apply(std::move(event));
  }
  void LogGrew(const AttemptKey& key, std::uint64_t bytes) {
    if (!running_.contains(key)) return;
    std::uint64_t& end = log_end_[key];
    end += bytes;
    Apply(agent::LogGrew{key, freed_[key], end});
  }
  // The journal may be rewritten at any time.
  void Rewrite() {
    const std::vector<JournalEntry> snapshot = core_->Snapshot();
    AgentCore loaded(Options());
    (void)loaded.Load(snapshot, now_);
    SLIPWAY_CHECK(loaded.Snapshot() == snapshot);
    if (synced_ != journal_.size()) return;
    journal_ = snapshot;
    synced_ = journal_.size();
  }
  // Sequence of the newest one.
  [[nodiscard]] std::uint64_t permit_requests() const { return permit_requests_; }
  [[nodiscard]] std::uint64_t log_end(const AttemptKey& key) const {
    const auto it = log_end_.find(key);
    return it == log_end_.end() ? 0 : it->second;
  }

 private:
  static agent::AgentOptions Options() {
    return {.slots = 2, .labels = {}, .log_window_bytes = 64};
  }
  [[nodiscard]] WallTime wall() const { return WallTime(now_.time_since_epoch()); }

  void Start() {
    connected_ = false;
    running_.clear();
    core_.emplace(Options());
    synced_ = journal_.size();
    highest_ = Epoch();
    for (const JournalEntry& entry : journal_) {
      if (const auto* seen = std::get_if<agent::JournalEpoch>(&entry.what)) {
        highest_ = std::max(highest_, seen->epoch);
      }
    }
    last_id_ = 0;
    Perform(core_->Load(journal_, now_));
  }

  // Of the present life of the attempt, and on the disk.
  template <typename What>
  [[nodiscard]] const What* OnDisk(const AttemptKey& key) const {
    const What* found = nullptr;
    for (std::size_t i = 0; i < synced_; ++i) {
      if (journal_[i].key != key) continue;
      if (const auto* what = std::get_if<What>(&journal_[i].what)) found = what;
      if (std::holds_alternative<agent::JournalDeleted>(journal_[i].what)) found = nullptr;
    }
    return found;
  }

  void Perform(std::vector<agent::Action> actions) {
    for (const agent::Action& action : actions) {
      std::visit([this](const auto& what) { Do(what); }, action);
    }
    for (const agent::AttemptView& view : core_->Attempts()) {
      SLIPWAY_CHECK(view.log_durable <= std::max(view.log_end, told_durable_[view.key]));
    }
  }
  void Do(const agent::WriteJournal& action) {
    SLIPWAY_CHECK(action.id == last_id_ + 1);
    last_id_ = action.id;
    journal_.push_back(action.entry);
    if (std::holds_alternative<agent::JournalDeleted>(action.entry.what)) {
      // Offered again, it would be another life.
      const AttemptKey& key = action.entry.key;
      running_.erase(key);
      log_end_.erase(key);
      freed_.erase(key);
      told_durable_.erase(key);
      permits_.erase(key);
    }
  }
  void Do(const agent::Send& action) {
    SLIPWAY_CHECK(connected_);
    if (const auto* accept = std::get_if<protocol::Accept>(&action.message)) {
      SLIPWAY_CHECK(OnDisk<agent::JournalAccepted>(accept->key) != nullptr);
    }
    if (const auto* report = std::get_if<protocol::ResultReport>(&action.message)) {
      SLIPWAY_CHECK(OnDisk<agent::JournalFinished>(report->key) != nullptr);
    }
    if (const auto* request = std::get_if<protocol::PermitRequest>(&action.message)) {
      permit_requests_ = request->sequence;
    }
    if (const auto* inventory = std::get_if<protocol::Inventory>(&action.message)) {
      for (const protocol::AttemptStatus& status : inventory->attempts) {
        SLIPWAY_CHECK(OnDisk<agent::JournalAccepted>(status.key) != nullptr);
      }
    }
  }
  void Do(const agent::StartAttempt& action) {
    SLIPWAY_CHECK(OnDisk<agent::JournalRunning>(action.key) != nullptr);
    // Once the client may have run, nothing starts it again.
    SLIPWAY_CHECK(OnDisk<agent::JournalPublishStarted>(action.key) == nullptr);
    running_.insert(action.key);
  }
  void Do(const agent::AdoptAttempt& action) {
    SLIPWAY_CHECK(OnDisk<agent::JournalRunning>(action.key) != nullptr);
    SLIPWAY_CHECK(action.publish_started ==
                  (OnDisk<agent::JournalPublishStarted>(action.key) != nullptr));
    running_.insert(action.key);
  }
  void Do(const agent::GivePermit& action) {
    SLIPWAY_CHECK(KindOf(action.key) != TaskKind::kBuild);
    SLIPWAY_CHECK(action.valid_until > now_);
    // Probes and previews may be repeated, so nothing remembers their permits.
    if (protocol::IsRepeatable(KindOf(action.key))) {
      SLIPWAY_CHECK(OnDisk<agent::JournalPublishStarted>(action.key) == nullptr);
      return;
    }
    const auto* marker = OnDisk<agent::JournalPublishStarted>(action.key);
    SLIPWAY_CHECK(marker != nullptr && marker->nonce == action.nonce);
    SLIPWAY_CHECK(++permits_[action.key] == 1);
  }
  void Do(const agent::DenyPermit&) {}
  void Do(const agent::SendLog& action) {
    SLIPWAY_CHECK(connected_);
    SLIPWAY_CHECK(action.offset <= action.end);
    // An empty range only asks where to resume: it reads no spool, and after a restart the spool's
    // beginning may not be known yet.
    if (action.offset == action.end) return;
    SLIPWAY_CHECK(action.offset >= freed_[action.key] && action.end <= log_end(action.key));
  }
  void Do(const agent::FreeSpool& action) {
    SLIPWAY_CHECK(action.below <= told_durable_[action.key]);
    SLIPWAY_CHECK(action.below <= log_end(action.key));
    freed_[action.key] = std::max(freed_[action.key], action.below);
  }
  void Do(const agent::CancelAttempt& action) {
    SLIPWAY_CHECK(OnDisk<agent::JournalRunning>(action.key) != nullptr);
  }
  void Do(const agent::DeleteAttempt&) {}
  void Do(const agent::PrepareImages&) {}
  void Do(const agent::Drained&) { SLIPWAY_CHECK(core_->Attempts().empty()); }

  MonoTime now_{std::chrono::hours(1)};
  std::optional<AgentCore> core_;
  bool connected_ = false;
  Epoch highest_;
  std::vector<JournalEntry> journal_;
  std::size_t synced_ = 0;
  agent::JournalId last_id_ = 0;
  std::set<AttemptKey> running_;
  std::map<AttemptKey, std::uint64_t> log_end_;
  std::map<AttemptKey, std::uint64_t> freed_;
  std::map<AttemptKey, std::uint64_t> told_durable_;
  std::map<AttemptKey, int> permits_;
  std::uint64_t permit_requests_ = 0;
};

Sha256Digest TakeDigest(ByteSource& in) {
  std::array<std::uint8_t, Sha256Digest::kSize> digest{};
  digest[0] = in.Byte();
  return Sha256Digest(digest);
}

protocol::ControllerMessage TakeMessage(ByteSource& in, const Machine& machine) {
  protocol::ControllerMessage message;
  message.epoch = Epoch(1 + in.Byte() % 3);
  switch (in.Below(4)) {
    case 0: {
      protocol::Desired desired{.answers = in.Below(4), .attempts = {}, .sync_after = {}};
      desired.sync_after = std::chrono::milliseconds(100) * in.Byte();
      for (std::size_t n = in.Below(4); n > 0; --n) {
        const AttemptKey key = MakeKey(in.Byte());
        desired.attempts.push_back({key, KindOf(key), static_cast<Want>(1 + in.Below(5)), "spec"});
      }
      message.body = std::move(desired);
      break;
    }
    case 1: {
      protocol::LogAck ack{MakeKey(in.Byte()), in.Number(2), in.Number(2)};
      ack.durable = std::min(ack.durable, ack.received);
      message.body = ack;
      break;
    }
    case 2: {
      protocol::Permit permit;
      permit.key = MakeKey(in.Byte());
      const std::uint8_t which = in.Byte();
      permit.nonce = std::to_string(which % 4);
      // Mostly to the newest request.
      permit.answers = machine.permit_requests() - (which >> 6);
      permit.valid_for = std::chrono::seconds(1) * in.Byte();
      permit.secret = "secret";
      message.body = std::move(permit);
      break;
    }
    default: message.body = protocol::PermitDenied{MakeKey(in.Byte()), {}}; break;
  }
  return message;
}

protocol::AttemptResult TakeResult(ByteSource& in, std::uint64_t log_size) {
  protocol::AttemptResult result;
  const std::uint8_t shape = in.Byte();
  if ((shape & 1) != 0) result.failure.emplace();
  result.log.size = log_size;
  result.exit_code = shape >> 1;
  return result;
}

void Check(ByteSource in) {
  Machine machine;
  while (!in.empty()) {
    switch (in.Below(16)) {
      case 0: machine.Connect(); break;
      case 1: machine.Disconnect(); break;
      case 2:
      case 3:
      case 4: machine.Hear(TakeMessage(in, machine)); break;
      case 5:
      case 6: machine.SyncJournal(); break;
      case 7: machine.Crash(in.Flag()); break;
      case 8: {
        protocol::StepReport step;
        step.key = MakeKey(in.Byte());
        step.number = 1 + in.Byte();
        machine.FromRunner(step.key, agent::StepHappened{step});
        break;
      }
      case 9: machine.LogGrew(MakeKey(in.Byte()), in.Byte()); break;
      case 10: {
        const AttemptKey key = MakeKey(in.Byte());
        machine.FromRunner(key, agent::PublishReady{key, TakeDigest(in)});
        break;
      }
      case 11: {
        const AttemptKey key = MakeKey(in.Byte());
        machine.FromRunner(key, agent::AttemptEnded{key, TakeResult(in, machine.log_end(key))});
        break;
      }
      case 12: {
        const AttemptKey key = MakeKey(in.Byte());
        const protocol::LogSummary log{.size = machine.log_end(key), .root = {}, .missing = 0};
        machine.FromRunner(key, agent::AttemptVanished{key, log});
        machine.FromRunner(key, agent::AttemptNotTakenUp{key, {}, log});
        break;
      }
      case 13: machine.Apply(agent::AttemptDeleted{MakeKey(in.Byte())}); break;
      case 14: machine.Advance(std::chrono::milliseconds(100) * in.Byte()); break;
      default:
        if (in.Flag()) {
          machine.Rewrite();
        } else {
          machine.Apply(agent::DrainRequested{});
        }
        break;
    }
  }
  machine.Rewrite();
}

}  // namespace
}  // namespace slipway::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  slipway::fuzz::Check({data, size});
  return 0;
}
