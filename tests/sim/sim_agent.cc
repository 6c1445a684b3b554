#include "tests/sim/sim_agent.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "common/loghash/segment_hasher.h"
#include "tests/sim/sim_controller.h"

namespace slipway::sim {

using protocol::FailureClass;
using protocol::TaskKind;
using std::chrono::seconds;

namespace {

std::string NameOf(const AttemptKey& key) {
  return key.task.value() + "/" + std::to_string(key.attempt.value());
}

Sha256Digest ManifestOf(const AttemptKey& key) {
  return *Sha256Digest::FromBytes((key.task.value() + std::string(32, 'm')).substr(0, 32));
}

protocol::Failure FailureOf(FailureClass klass, std::string reason) {
  protocol::Failure failure;
  failure.klass = klass;
  failure.reason = std::move(reason);
  return failure;
}

}  // namespace

SimAgent::SimAgent(World& world, int number) : world_(world), number_(number) {}

// ---- process

void SimAgent::Later(Duration delay, std::function<void()> what) {
  world_.After(delay, [this, life = life_, what = std::move(what)] {
    if (core_ && life == life_) what();
  });
}

void SimAgent::Boot() {
  if (core_) return;
  ++life_;
  world_.Trace("agent " + std::to_string(number_) + " starts");
  agent::AgentOptions options{.slots = 2,
                              .labels = {{"os", "linux"}},
                              .sync_interval = seconds(5),
                              .log_window_bytes = 512,
                              .max_publish_starts = 3};
  if (number_ == 0) options.labels["xcode"] = "15";
  core_.emplace(options);
  last_id_ = 0;
  sync_armed_ = false;
  tick_armed_.reset();
  stream_ = nullptr;
  journal_synced_ = journal_.size();
  auto actions = core_->Load(journal_, world_.now());
  if (world_.Chance(0.5)) {
    journal_ = core_->Snapshot();
    journal_synced_ = journal_.size();
  }
  Perform(std::move(actions));
  if (core_) TryConnect();
}

void SimAgent::CrashProcess() {
  if (!core_) return;
  world_.Trace("agent " + std::to_string(number_) + " crashes");
  core_.reset();
  ++life_;
  if (stream_) world_.Reset(stream_);
  stream_ = nullptr;
  world_.After(world_.RandomMillis(100, 8000), [this] { Boot(); });
}

void SimAgent::CrashMachine() {
  world_.Trace("machine " + std::to_string(number_) + " crashes");
  journal_.resize(journal_synced_ + world_.Random(journal_.size() - journal_synced_ + 1));
  journal_synced_ = journal_.size();
  for (auto& [key, container] : containers_) container.alive = false;
  std::erase_if(containers_, [](const auto& entry) { return !entry.second.result; });
  for (auto& [key, spool] : spools_) {
    SimFile& file = spool.file;
    file.bytes.resize(file.synced + world_.Random(file.bytes.size() - file.synced + 1));
    file.synced = file.bytes.size();
  }
  if (core_) CrashProcess();
}

void SimAgent::Apply(agent::Event event) {
  if (!core_ || world_.failed()) return;
  Perform(core_->Apply(std::move(event), world_.now(), world_.wall()));
}

void SimAgent::Perform(std::vector<agent::Action> actions) {
  const std::uint64_t life = life_;
  for (const agent::Action& action : actions) {
    if (world_.Mishap(world_.scenario.faults.crash_between_actions)) CrashProcess();
    if (life != life_ || !core_) return;
    std::visit([&](const auto& what) { Do(what); }, action);
  }
  ArmTick();
}

void SimAgent::ArmTick() {
  const auto due = core_ ? core_->NextDeadline() : std::nullopt;
  if (!due || (tick_armed_ && *tick_armed_ <= *due)) return;
  tick_armed_ = std::max(*due, world_.now());
  Later(*tick_armed_ - world_.now(), [this] {
    tick_armed_.reset();
    Apply(agent::Tick{});
  });
}

// ---- link

void SimAgent::TryConnect() {
  Later(world_.RandomMillis(50, 1500), [this] {
    if (stream_) return;
    stream_ = world_.Connect(number_, life_);
    if (!stream_) return TryConnect();
    Apply(agent::Connected{});
  });
}

void SimAgent::Closed(const std::shared_ptr<Stream>& stream) {
  if (!core_ || stream_ != stream) return;
  stream_ = nullptr;
  Apply(agent::Disconnected{});
  if (core_) TryConnect();
}

void SimAgent::Receive(const std::shared_ptr<Stream>& stream,
                       const protocol::ControllerMessage& message) {
  if (!core_ || stream_ != stream) return;
  Apply(agent::Received{message});
}

void SimAgent::Do(const agent::Send& action) {
  if (!stream_) return;
  world_.ToController(stream_, 0, [stream = stream_, message = action.message] {
    stream->controller->Receive(stream, message);
  });
}

void SimAgent::Do(const agent::SendLog& action) {
  if (!stream_) return;
  const Spool& spool = spools_[action.key];
  if (action.offset < spool.begin || action.end > spool.file.synced) {
    return world_.Violation("6: agent sends log bytes that it does not have or has not synced");
  }
  std::uint64_t offset = action.offset;
  do {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(100, action.end - offset));
    protocol::LogChunk chunk{action.key, offset, spool.file.bytes.substr(offset, size)};
    world_.ToController(stream_, 1, [stream = stream_, chunk = std::move(chunk)] {
      stream->controller->Receive(stream, chunk);
    });
    offset += size;
  } while (offset < action.end);
}

// ---- journal

void SimAgent::Do(const agent::WriteJournal& action) {
  journal_.push_back(action.entry);
  const auto* finished = std::get_if<agent::JournalFinished>(&action.entry.what);
  if (finished != nullptr && world_.scenario.planted.result_before_log) {
    Do(agent::Send{protocol::ResultReport{action.entry.key, finished->result}});
  }
  last_id_ = action.id;
  if (sync_armed_) return;
  sync_armed_ = true;
  Later(world_.RandomMillis(1, 30), [this] {
    sync_armed_ = false;
    if (!world_.scenario.planted.journal_not_synced) journal_synced_ = journal_.size();
    Apply(agent::JournalSynced{last_id_});
  });
}

bool SimAgent::MarkerSynced(const AttemptKey& key) const {
  return std::any_of(
      journal_.begin(), journal_.begin() + static_cast<std::ptrdiff_t>(journal_synced_),
      [&](const agent::JournalEntry& entry) {
        return entry.key == key && std::holds_alternative<agent::JournalPublishStarted>(entry.what);
      });
}

// ---- runner

void SimAgent::Do(const agent::StartAttempt& action) {
  // 4: only what is stored as running is started.
  if (!world_.store.WasStarted(action.key)) {
    world_.Violation("4: " + NameOf(action.key) + " is started but was never stored as running");
  }
  StartContainer(action.key, action.kind);
}

void SimAgent::StartContainer(const AttemptKey& key, TaskKind kind) {
  // 5: an attempt of a build is executed once, whatever becomes of the agent process.
  if (kind == TaskKind::kBuild && ++build_starts_[key] > 1) {
    world_.Violation("5: build " + NameOf(key) + " is executed twice");
  }
  world_.Trace("container of " + NameOf(key) + " on agent " + std::to_string(number_));
  Container container;
  container.generation = ++last_generation_;
  container.kind = kind;
  container.writes_left = 1 + static_cast<int>(world_.Random(8));
  const auto dice = world_.Random(100);
  if (kind == TaskKind::kBuild) {
    container.outcome = dice < 70   ? Outcome::kSuccess
                        : dice < 85 ? Outcome::kBuildFails
                        : dice < 95 ? Outcome::kNetworkFails
                                    : Outcome::kInfrastructureFails;
  } else {
    container.outcome = dice < 85 ? Outcome::kSuccess : Outcome::kPlatformRefuses;
  }
  const std::uint64_t generation = container.generation;
  containers_[key] = std::move(container);
  spools_.try_emplace(key);
  world_.After(world_.RandomMillis(10, 300), [this, key, generation] { Work(key, generation); });
  Apply(agent::StepHappened{{.key = key,
                             .number = 1,
                             .name = "start",
                             .state = protocol::StepState::kSucceeded,
                             .at = world_.wall(),
                             .detail = {}}});
}

void SimAgent::Work(const AttemptKey& key, std::uint64_t generation) {
  const auto it = containers_.find(key);
  if (it == containers_.end() || it->second.generation != generation || !it->second.alive) return;
  Container& container = it->second;
  if (container.canceling && !container.client_started) {
    return End(key, container, FailureOf(FailureClass::kCanceled, "CANCELED"));
  }
  if (container.writes_left > 0) {
    --container.writes_left;
    std::string& bytes = spools_[key].file.bytes;
    const auto length = world_.Random(300);
    for (std::uint64_t i = 0; i < length; ++i) {
      bytes.push_back(static_cast<char>('a' + (world_.Random(26))));
    }
    world_.After(world_.RandomMillis(10, 2500), [this, key, generation] { Work(key, generation); });
    return Doorbell(key);
  }
  if (container.kind == TaskKind::kPublish && !container.client_started) {
    container.ready = true;
    return Doorbell(key);
  }
  switch (container.outcome) {
    case Outcome::kSuccess:
      if (container.kind == TaskKind::kPublish) world_.Published(key);
      return End(key, container, std::nullopt);
    case Outcome::kBuildFails:
      return End(key, container, FailureOf(FailureClass::kBuild, "SCRIPT_FAILED"));
    case Outcome::kNetworkFails:
      return End(key, container, FailureOf(FailureClass::kNetwork, "UNREACHABLE"));
    case Outcome::kInfrastructureFails:
      return End(key, container, FailureOf(FailureClass::kInfrastructure, "NO_IMAGE"));
    case Outcome::kPlatformRefuses:
      return End(key, container, FailureOf(FailureClass::kPlatformRefused, "REFUSED"));
  }
}

void SimAgent::End(const AttemptKey& key, Container& container,
                   std::optional<protocol::Failure> failure) {
  container.alive = false;
  container.ready = false;
  protocol::AttemptResult result;
  result.failure = std::move(failure);
  result.exit_code = result.ok() ? 0 : 1;
  if (container.kind == TaskKind::kBuild) {
    result.build.emplace();
    result.build->commit = NameOf(key);
  }
  container.result = std::move(result);
  Doorbell(key);
}

void SimAgent::SyncSpool(const AttemptKey& key) {
  const auto it = spools_.find(key);
  if (it == spools_.end()) return;
  it->second.file.synced = it->second.file.bytes.size();
  Apply(agent::LogGrew{key, it->second.begin, it->second.file.synced});
}

protocol::LogSummary SimAgent::SummaryOf(const AttemptKey& key) {
  SyncSpool(key);
  const std::string& bytes = spools_[key].file.bytes;
  world_.ended_logs[key] = bytes;
  return {.size = bytes.size(), .root = loghash::RootOf(bytes), .missing = 0};
}

// Something happened in the container; the runner looks when its process lives.
void SimAgent::Doorbell(const AttemptKey& key) {
  Later(world_.RandomMillis(5, 80), [this, key] {
    const auto it = containers_.find(key);
    if (it == containers_.end()) return;
    SyncSpool(key);
    if (!core_) return;
    if (it->second.result) {
      protocol::AttemptResult result = *it->second.result;
      result.log = SummaryOf(key);
      Apply(agent::AttemptEnded{key, std::move(result)});
    } else if (it->second.ready && !it->second.client_started) {
      Apply(agent::PublishReady{key, ManifestOf(key)});
    }
  });
}

void SimAgent::Do(const agent::AdoptAttempt& action) {
  Later(world_.RandomMillis(5, 200), [this, action] {
    const auto spool = spools_.find(action.key);
    if (spool != spools_.end()) SyncSpool(action.key);
    if (!core_ || action.phase == protocol::AttemptPhase::kFinished) return;
    auto it = containers_.find(action.key);
    if (world_.scenario.planted.build_not_attached && action.kind == TaskKind::kBuild) {
      return StartContainer(action.key, action.kind);
    }
    const bool leave_unused = it != containers_.end() && it->second.alive &&
                              action.publish_started && !it->second.client_started;
    if (it == containers_.end() || leave_unused) {
      if (it != containers_.end()) containers_.erase(it);
      if (world_.scenario.planted.publish_again_after_crash && action.publish_started) {
        StartContainer(action.key, action.kind);
        return StartClient(action.key, "remembered");
      }
      const auto log = SummaryOf(action.key);
      if (core_) Apply(agent::AttemptVanished{action.key, log});
      return;
    }
    Doorbell(action.key);
  });
}

void SimAgent::Do(const agent::CancelAttempt& action) {
  const auto it = containers_.find(action.key);
  if (it == containers_.end()) return;
  it->second.canceling = true;
  if (it->second.alive && it->second.ready) {
    const std::uint64_t generation = it->second.generation;
    world_.After(world_.RandomMillis(10, 100),
                 [this, key = action.key, generation] { Work(key, generation); });
  }
}

void SimAgent::Do(const agent::DeleteAttempt& action) {
  // 7: only what the stored rows disown is thrown away.
  const domain::Task* row = world_.store.Find(action.key.task);
  const bool wanted = world_.store.IsCurrent(action.key) &&
                      row->agent == AgentId("agent-" + std::to_string(number_)) &&
                      !(row->state == domain::TaskState::kUnknown && row->result);
  if (wanted) world_.Violation("7: " + NameOf(action.key) + " is deleted but still wanted");
  Later(world_.RandomMillis(5, 400), [this, key = action.key] {
    containers_.erase(key);
    spools_.erase(key);
    Apply(agent::AttemptDeleted{key});
  });
}

void SimAgent::Do(const agent::GivePermit& action) {
  const auto it = containers_.find(action.key);
  if (it == containers_.end() || !it->second.alive || it->second.canceling ||
      world_.now() >= action.valid_until) {
    return;
  }
  StartClient(action.key, action.nonce);
}

void SimAgent::StartClient(const AttemptKey& key, const std::string& nonce) {
  world_.ClientStarted(key, nonce, MarkerSynced(key));
  Container& container = containers_.at(key);
  container.client_started = true;
  container.ready = false;
  container.writes_left = 1;
  world_.After(world_.RandomMillis(50, 4000),
               [this, key, generation = container.generation] { Work(key, generation); });
}

void SimAgent::Do(const agent::DenyPermit& action) {
  const auto it = containers_.find(action.key);
  if (it == containers_.end() || !it->second.alive || it->second.client_started) return;
  End(action.key, it->second, action.failure);
}

void SimAgent::Do(const agent::FreeSpool& action) {
  // 6: nothing is freed that the controller does not have on its disk.
  const SimFile& stored = world_.controller_logs[action.key];
  if (action.below > stored.synced) {
    world_.Violation("6: spool of " + NameOf(action.key) + " freed below " +
                     std::to_string(action.below) + ", on the controller's disk are " +
                     std::to_string(stored.synced));
  }
  Spool& spool = spools_[action.key];
  spool.begin = std::max<std::size_t>(spool.begin, action.below);
}

std::string SimAgent::Leftovers() const {
  if (!core_) return "the process is not running";
  std::string left;
  for (const auto& view : core_->Attempts()) {
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
