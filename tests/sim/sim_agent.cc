#include "tests/sim/sim_agent.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "tests/sim/sim_controller.h"

namespace slipway::sim {

using protocol::FailureClass;
using protocol::TaskKind;
using std::chrono::seconds;

namespace {

agent::AgentOptions OptionsOf(int number) {
  agent::AgentOptions options{.slots = 2,
                              .labels = {{"os", "linux"}},
                              .sync_interval = seconds(5),
                              .log_window_bytes = 512,
                              .max_publish_starts = 3};
  if (number == 0) options.labels["xcode"] = "15";
  return options;
}

}  // namespace

SimAgent::SimAgent(World& world, int number, int like)
    : world_(world), number_(number), like_(like), machine_(world), process_(world) {
  machine_.Start();
}

// ---- process

void SimAgent::Boot() {
  if (machine_.frozen()) return machine_.Do([this] { Boot(); });
  if (alive() || left_) return;
  process_.Start();
  world_.Trace("agent ", number_, " starts");
  core_.emplace(OptionsOf(like_));
  last_id_ = 0;
  sync_armed_ = false;
  tick_armed_.reset();
  stream_ = nullptr;
  results_sent_.clear();
  deleting_.clear();
  unfollowed_.clear();
  // What survived is synced before it is read.
  NoteSynced(std::exchange(journal_synced_, journal_.size()));
  auto actions =
      std::make_shared<std::vector<agent::Action>>(core_->Load(journal_, process_.now()));
  Perform(actions, 0);
  if (alive()) TryConnect();
}

void SimAgent::CrashProcess() {
  if (!alive()) return;
  world_.Trace("agent ", number_, " crashes");
  LoseUnsyncedJournal();
  for (const auto& [key, container] : containers_) {
    if (container.alive && container.kind == TaskKind::kPublish && !container.client_started &&
        Durable(key) == JournalState::kMarker) {
      world_.Hit(Message::kClient, CrashPoint::kLost, key, number_);
    }
  }
  core_.reset();
  process_.Die();
  if (stream_) world_.Reset(stream_);
  stream_ = nullptr;
  BootLater();
}

void SimAgent::BootLater() {
  world_.After(world_.RandomMillis(100, 8000), [this] { Boot(); });
}

void SimAgent::CrashMachine() {
  world_.Trace("machine ", number_, " crashes");
  CrashProcess();
  LoseUnsyncedJournal();
  // What stood still did nothing in its last moment.
  const bool stood_still = machine_.frozen();
  machine_.Die();
  machine_.Start();
  BootLater();
  for (auto& [key, container] : containers_) {
    if (!container.alive) continue;
    container.alive = false;
    if (Durable(key) == JournalState::kRunning) {
      world_.Hit(Message::kContainer, CrashPoint::kLost, key, number_);
    } else if (container.client_started) {
      if (container.kind == TaskKind::kPublish) {
        world_.Hit(Message::kClient, CrashPoint::kLost, key, number_);
      }
      // It may have been the very end of the client.
      if (container.kind == TaskKind::kPublish && container.outcome == Outcome::kSuccess &&
          !stood_still && world_.Chance(0.5)) {
        world_.oracles.Published(key, process_.clock_stood());
      }
    }
  }
  std::erase_if(containers_, [](const auto& entry) { return !entry.second.result; });
  for (auto& [key, spool] : spools_) {
    SimFile& file = spool.file;
    if (file.bytes.size() > file.synced) {
      world_.Hit(Message::kLogChunk, CrashPoint::kSenderBefore, key, number_);
    }
    file.bytes.resize(file.synced + world_.Random(file.bytes.size() - file.synced + 1));
    file.synced = file.bytes.size();
  }
}

void SimAgent::Freeze(Duration length) {
  world_.Trace("agent ", number_, " is frozen");
  process_.Freeze(length, world_.scenario.faults.clocks_stand);
}

void SimAgent::Suspend(Duration length) {
  world_.Trace("machine ", number_, " is suspended");
  process_.Freeze(length, world_.scenario.faults.clocks_stand);
  machine_.Freeze(length, world_.scenario.faults.clocks_stand);
}

void SimAgent::Apply(agent::Event event) {
  if (!alive() || world_.failed()) return;
  if (process_.frozen()) {
    return process_.Do([this, event = std::move(event)]() mutable { Apply(std::move(event)); });
  }
  Perform(std::make_shared<std::vector<agent::Action>>(
              core_->Apply(std::move(event), process_.now(), process_.wall())),
          0);
}

void SimAgent::Perform(const Actions& actions, std::size_t from) {
  const Faults& faults = world_.scenario.faults;
  const std::uint64_t life = process_.life();
  for (std::size_t i = from; i < actions->size(); ++i) {
    if (world_.Mishap(faults.crash_between_actions)) {
      DiedBefore(*actions, i);
      CrashProcess();
    } else if (world_.Mishap(faults.freeze_between_actions)) {
      world_.Trace("agent ", number_, " is frozen between two actions");
      process_.FreezeBefore(world_.RandomMillis(1000, 60'000), faults.clocks_stand,
                            [this, actions, i] { Perform(actions, i); });
      return;
    }
    if (life != process_.life() || world_.failed()) return;
    std::visit([&](auto& what) { Do(what); }, (*actions)[i]);
    if (life != process_.life()) return;
    // What this action led to may have frozen it.
    if (process_.frozen()) return process_.Do([this, actions, i] { Perform(actions, i + 1); });
  }
  ArmTick();
}

void SimAgent::DiedBefore(const std::vector<agent::Action>& actions, std::size_t from) {
  for (std::size_t i = from; i < actions.size(); ++i) {
    if (const auto* send = std::get_if<agent::Send>(&actions[i])) {
      world_.HitLost(send->message, number_, CrashPoint::kSenderBefore);
    } else if (const auto* start = std::get_if<agent::StartAttempt>(&actions[i])) {
      world_.Hit(Message::kContainer, CrashPoint::kLost, start->key, number_);
    } else if (const auto* permit = std::get_if<agent::GivePermit>(&actions[i])) {
      const auto held = containers_.find(permit->key);
      if (held == containers_.end() || protocol::IsRepeatable(held->second.kind)) continue;
      world_.Hit(Message::kClient, CrashPoint::kLost, permit->key, number_);
    } else if (const auto* free = std::get_if<agent::FreeSpool>(&actions[i])) {
      world_.Hit(Message::kLogAck, CrashPoint::kReceiverBefore, free->key, number_);
    } else if (const auto* deny = std::get_if<agent::DenyPermit>(&actions[i])) {
      denied_.insert(deny->key);
    } else if (const auto* cancel = std::get_if<agent::CancelAttempt>(&actions[i])) {
      canceled_.insert(cancel->key);
    } else if (const auto* gone = std::get_if<agent::DeleteAttempt>(&actions[i])) {
      forgotten_.insert(gone->key);
    }
  }
}

void SimAgent::ArmTick() {
  const auto due = core_->NextDeadline();
  if (!due || (tick_armed_ && *tick_armed_ <= *due)) return;
  tick_armed_ = std::max(*due, process_.now());
  process_.After(*tick_armed_ - process_.now(), [this, mine = ++ticks_armed_] {
    if (mine != ticks_armed_) return;
    tick_armed_.reset();
    Apply(agent::Tick{});
  });
}

// ---- link

void SimAgent::TryConnect() {
  process_.After(world_.RandomMillis(50, 1500), [this] {
    if (stream_) return;
    stream_ = world_.Connect(number_);
    if (!stream_) return TryConnect();
    Apply(agent::Connected{});
  });
}

void SimAgent::BeGone() {
  world_.Trace("agent ", number_, " is told that it is thrown out");
  Apply(agent::Disowned{});
}

// Nothing else drains an agent here.
void SimAgent::Do(agent::Drained&) {
  left_ = true;
  CrashProcess();
}

void SimAgent::Closed(const std::shared_ptr<Stream>& stream) {
  process_.Do([this, stream] {
    if (stream_ != stream) return;
    stream_ = nullptr;
    const std::uint64_t life = process_.life();
    Apply(agent::Disconnected{});
    if (stream->refused && life == process_.life()) BeGone();
    if (alive() && life == process_.life()) TryConnect();
  });
}

void SimAgent::Receive(const std::shared_ptr<Stream>& stream,
                       const protocol::ControllerMessage& message) {
  process_.Do([this, stream, message] {
    if (stream_ != stream || (!stream->open && stream->unread_is_lost)) {
      return world_.HitLost(message, number_, CrashPoint::kLost);
    }
    if (world_.failed()) return;
    auto actions = std::make_shared<std::vector<agent::Action>>(
        core_->Apply(agent::Received{message}, process_.now(), process_.wall()));
    world_.oracles.Received(number_, stream->controller->epoch(), !actions->empty());
    Perform(actions, 0);
  });
}

void SimAgent::SendOut(protocol::AgentMessage message) {
  world_.oracles.Said(message);
  if (stream_) {
    world_.ToController(stream_, std::move(message));
  } else {
    world_.HitLost(message, number_, CrashPoint::kLost);
  }
}

void SimAgent::Do(agent::Send& action) {
  if (const auto* report = std::get_if<protocol::ResultReport>(&action.message)) {
    if (world_.scenario.planted.result_given_up && ++results_sent_[report->key] > 1) return;
  }
  SendOut(std::move(action.message));
}

void SimAgent::Do(agent::SendLog& action) {
  if (!stream_) return;
  const Spool& spool = spools_[action.key];
  world_.oracles.LogSent(action.key, action.offset, action.end, spool.begin, spool.file.synced);
  std::uint64_t offset = action.offset;
  do {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(150, action.end - offset));
    SendOut(protocol::LogChunk{action.key, offset, spool.file.bytes.substr(offset, size)});
    offset += size;
  } while (offset < action.end && stream_);
}

// ---- journal

void SimAgent::Do(agent::WriteJournal& action) {
  const AttemptKey& key = action.entry.key;
  const auto* finished = std::get_if<agent::JournalFinished>(&action.entry.what);
  if (finished != nullptr && world_.scenario.planted.result_before_log) {
    SendOut(protocol::ResultReport{key, finished->result});
  }
  if (auto* marker = std::get_if<agent::JournalPublishStarted>(&action.entry.what);
      marker != nullptr && world_.scenario.planted.secret_in_journal) {
    marker->nonce += " " + SecretOf(key.task);
  }
  if (std::holds_alternative<agent::JournalAccepted>(action.entry.what) &&
      world_.scenario.planted.started_on_promise) {
    StartContainer(key, TaskKind::kBuild);
  }
  world_.oracles.Journalled(action.entry);
  journal_.push_back(std::move(action.entry));
  last_id_ = action.id;
  if (sync_armed_) return;
  sync_armed_ = true;
  process_.After(world_.RandomMillis(1, 30), [this] { SyncJournal(); });
}

void SimAgent::SyncJournal() {
  sync_armed_ = false;
  if (world_.agent_disk_full(number_)) {
    // A journal that cannot be written ends the process.
    world_.Trace("the disk of agent ", number_, " is full");
    return CrashProcess();
  }
  // Now and then the file is rewritten.
  if (world_.Chance(0.03)) {
    journal_ = core_->Snapshot();
    journal_synced_ = 0;
    durable_.clear();
  }
  if (!world_.scenario.planted.journal_not_synced) {
    NoteSynced(std::exchange(journal_synced_, journal_.size()));
  }
  Apply(agent::JournalSynced{last_id_});
}

void SimAgent::NoteSynced(std::size_t from) {
  for (std::size_t i = from; i < journal_.size(); ++i) {
    const agent::JournalEntry& entry = journal_[i];
    if (const auto* epoch = std::get_if<agent::JournalEpoch>(&entry.what)) {
      world_.oracles.EpochSynced(number_, epoch->epoch);
    } else if (std::holds_alternative<agent::JournalAccepted>(entry.what)) {
      durable_[entry.key] = JournalState::kAccepted;
    } else if (std::holds_alternative<agent::JournalRunning>(entry.what)) {
      durable_[entry.key] = JournalState::kRunning;
    } else if (std::holds_alternative<agent::JournalPublishStarted>(entry.what)) {
      durable_[entry.key] = JournalState::kMarker;
    } else if (std::holds_alternative<agent::JournalFinished>(entry.what)) {
      durable_[entry.key] = JournalState::kFinished;
    } else {
      durable_.erase(entry.key);
    }
  }
}

// Any end of what is not synced may be gone, also when only the process dies: it writes in groups.
// (That a record torn in the middle is read as one that is not there, agent_journal_test shows.)
void SimAgent::LoseUnsyncedJournal() {
  const std::size_t keep = journal_synced_ + world_.Random(journal_.size() - journal_synced_ + 1);
  const auto hit = [&](Message message, CrashPoint point, const AttemptKey& key) {
    world_.Hit(message, point, key, number_);
  };
  for (std::size_t i = journal_.size(); i-- > keep;) {
    const agent::JournalEntry& entry = journal_[i];
    if (std::holds_alternative<agent::JournalAccepted>(entry.what)) {
      hit(Message::kOffer, CrashPoint::kReceiverBefore, entry.key);
      hit(Message::kAccept, CrashPoint::kSenderBefore, entry.key);
    } else if (std::holds_alternative<agent::JournalRunning>(entry.what)) {
      hit(Message::kStart, CrashPoint::kReceiverBefore, entry.key);
      hit(Message::kContainer, CrashPoint::kSenderBefore, entry.key);
    } else if (std::holds_alternative<agent::JournalPublishStarted>(entry.what)) {
      hit(Message::kPermit, CrashPoint::kReceiverBefore, entry.key);
      hit(Message::kClient, CrashPoint::kSenderBefore, entry.key);
    } else if (std::holds_alternative<agent::JournalFinished>(entry.what)) {
      hit(Message::kResultReport, CrashPoint::kSenderBefore, entry.key);
    } else if (std::holds_alternative<agent::JournalDeleted>(entry.what)) {
      hit(Message::kDeleted, CrashPoint::kSenderBefore, entry.key);
      forgotten_.insert(entry.key);
    }
  }
  journal_.resize(keep);
  for (const AttemptKey& key : canceled_) {
    if (Durable(key) != JournalState::kFinished) {
      hit(Message::kCancel, CrashPoint::kReceiverBefore, key);
    }
  }
  for (const AttemptKey& key : denied_) {
    if (Durable(key) != JournalState::kFinished) {
      hit(Message::kPermitDenied, CrashPoint::kReceiverBefore, key);
    }
  }
  for (const AttemptKey& key : forgotten_) hit(Message::kForget, CrashPoint::kReceiverBefore, key);
  canceled_.clear();
  denied_.clear();
  forgotten_.clear();
}

JournalState SimAgent::Durable(const AttemptKey& key) const {
  const auto it = durable_.find(key);
  return it == durable_.end() ? JournalState::kNone : it->second;
}

std::string SimAgent::Leftovers() const {
  const bool gone = domain::IsGone(world_.store.ModeOf(id()));
  if (gone != left_)
    return left_ ? " it has left the farm, whose row says it has not"
                 : " it has not heard that it is thrown out";
  if (!alive() && !left_) return " the process is not running";
  std::string left;
  const auto attempts = left_ ? std::vector<agent::AttemptView>() : core_->Attempts();
  for (const auto& view : attempts) {
    left += " attempt " + NameOf(view.key) + " phase " +
            std::to_string(static_cast<int>(view.phase)) + (view.deleting ? " deleting" : "") +
            " log " + std::to_string(view.log_durable) + " of " + std::to_string(view.log_end) +
            " durable";
  }
  for (const auto& [key, container] : containers_) left += " container " + NameOf(key);
  for (const auto& [key, spool] : spools_) left += " spool " + NameOf(key);
  return left;
}

}  // namespace slipway::sim
