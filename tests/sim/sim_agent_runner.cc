#include <algorithm>
#include <utility>
#include <variant>

#include "common/loghash/segment_hasher.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_controller.h"

// The machine's side of an agent: containers, spools, and the runner between them and the core.
namespace slipway::sim {

using protocol::FailureClass;
using protocol::TaskKind;

namespace {

constexpr std::size_t kSpoolBudget = 900;
constexpr std::size_t kLargestWrite = 300;
// Between tries of the runner on a disk that fails.
constexpr Millis kTryAgain(500);
// What slipway-init needs to end a client.
constexpr Millis kKillTime(400);

Sha256Digest ManifestOf(const AttemptKey& key) {
  return *Sha256Digest::FromBytes((key.task.value() + std::string(32, 'm')).substr(0, 32));
}

protocol::Failure FailureOf(FailureClass klass, std::string reason) {
  protocol::Failure failure;
  failure.klass = klass;
  failure.reason = std::move(reason);
  return failure;
}

// Of a client that did not end at its deadline.
protocol::Failure FailureOfLate(TaskKind kind) {
  if (kind == TaskKind::kProbe) return FailureOf(FailureClass::kTimeout, "STEP_TIMEOUT");
  if (kind == TaskKind::kPreview) {
    return FailureOf(FailureClass::kInfrastructure, "PUBLISHER_FAILED");
  }
  return FailureOf(FailureClass::kPublishUnknown, "PUBLISH_UNKNOWN");
}

}  // namespace

// ---- containers

void SimAgent::StartContainer(const AttemptKey& key, TaskKind kind) {
  world_.oracles.Started(key);
  world_.oracles.ContainerMade(key, kind);
  world_.Trace("container of ", NameOf(key), " on agent ", number_);
  Container container;
  container.kind = kind;
  container.writes_left = 1 + static_cast<int>(world_.Random(6));
  const auto dice = world_.Random(100);
  if (kind == TaskKind::kBuild) {
    container.outcome = dice < 70   ? Outcome::kSuccess
                        : dice < 85 ? Outcome::kBuildFails
                        : dice < 95 ? Outcome::kNetworkFails
                                    : Outcome::kInfrastructureFails;
  } else if (kind == TaskKind::kProbe) {
    container.outcome = dice < 90 ? Outcome::kSuccess : Outcome::kNetworkFails;
  } else if (kind == TaskKind::kPreview) {
    container.outcome = dice < 75   ? Outcome::kSuccess
                        : dice < 85 ? Outcome::kNetworkFails
                        : dice < 90 ? Outcome::kInfrastructureFails
                                    : Outcome::kPlatformRefuses;
  } else {
    container.outcome = dice < 85 ? Outcome::kSuccess : Outcome::kPlatformRefuses;
  }
  containers_[key] = std::move(container);
  spools_.try_emplace(key);
  WorkLater(key, world_.RandomMillis(10, 300));
  protocol::StepReport step{.key = key,
                            .number = 1,
                            .name = "start",
                            .state = protocol::StepState::kSucceeded,
                            .at = process_.wall(),
                            .detail = NameOf(key)};
  if (world_.scenario.planted.secret_in_step) step.detail += " with " + SecretOf(key.task);
  Apply(agent::StepHappened{std::move(step)});
}

// Whatever was planned for the container before is not done any more.
void SimAgent::WorkLater(const AttemptKey& key, Duration delay) {
  const std::uint64_t generation = containers_.at(key).generation = ++last_generation_;
  machine_.After(delay, [this, key, generation] {
    const auto it = containers_.find(key);
    if (it != containers_.end() && it->second.generation == generation && it->second.alive) {
      Work(key);
    }
  });
}

void SimAgent::Work(const AttemptKey& key) {
  Container& container = containers_.at(key);
  if (world_.agent_disk_full(number_)) return WorkLater(key, Millis(500));
  if (container.canceling && !container.client_started) {
    return End(key, container, FailureOf(FailureClass::kCanceled, "CANCELED"));
  }
  if (container.writes_left > 0) {
    Spool& spool = spools_[key];
    const std::size_t held = spool.file.bytes.size() - spool.begin;
    if (held >= kSpoolBudget && !world_.scenario.planted.spool_not_bounded) {
      container.blocked = true;  // log_backpressure: FreeSpool wakes it
      return;
    }
    --container.writes_left;
    const auto length = world_.Random(kLargestWrite);
    std::uint64_t letters = world_.Random(~std::uint64_t{0});
    for (std::uint64_t i = 0; i < length; ++i, letters = letters * 31 + i) {
      spool.file.bytes.push_back(static_cast<char>('a' + (letters >> 33U) % 26));
    }
    world_.oracles.SpoolHolds(key, held + length, kSpoolBudget + kLargestWrite);
    WorkLater(key, world_.RandomMillis(10, 2500));
    return Doorbell(key);
  }
  if (container.kind != TaskKind::kBuild && !container.client_started) {
    container.ready = true;
    return Doorbell(key);
  }
  if (container.client_started && machine_.now() >= container.client_deadline + kKillTime &&
      !world_.scenario.planted.deadline_ignored) {
    const bool in_doubt =
        container.kind == TaskKind::kPreview && world_.scenario.planted.late_preview_in_doubt;
    return End(key, container,
               in_doubt ? FailureOf(FailureClass::kPublishUnknown, "PUBLISH_UNKNOWN")
                        : FailureOfLate(container.kind));
  }
  switch (container.outcome) {
    case Outcome::kSuccess:
      if (container.kind == TaskKind::kPublish) {
        world_.oracles.Published(key, machine_.clock_stood() || process_.clock_stood());
      }
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
  if (failure) world_.oracles.FailureOf(key, failure->klass);
  result.failure = std::move(failure);
  result.exit_code = result.ok() ? 0 : 1;
  if (container.kind == TaskKind::kBuild) {
    result.build.emplace();
    result.build->commit = NameOf(key);
  } else if (container.kind == TaskKind::kProbe && result.ok()) {
    result.probe = Look(key);
  }
  container.result = std::move(result);
  Doorbell(key);
}

// A probe's client asks the platform.
protocol::ProbeOutcome SimAgent::Look(const AttemptKey& key) {
  using protocol::ProbeVerdict;
  protocol::ProbeOutcome seen;
  if (!world_.Chance(0.2)) {
    seen.verdict = world_.oracles.Shown(world_.store.Find(key.task)->depends_on)
                       ? ProbeVerdict::kPublished
                       : ProbeVerdict::kNotPublished;
  }
  world_.oracles.Probed(key, seen.verdict);
  return seen;
}

// ---- runner

void SimAgent::Do(agent::StartAttempt& action) { StartContainer(action.key, action.kind); }

void SimAgent::SyncSpool(const AttemptKey& key) {
  const auto it = spools_.find(key);
  if (it == spools_.end()) return;
  if (world_.agent_disk_full(number_) && world_.scenario.planted.log_ends_at_full_disk) {
    unfollowed_.insert(key);
  }
  if (world_.agent_disk_full(number_) || unfollowed_.contains(key)) return;
  it->second.file.synced = it->second.file.bytes.size();
  Apply(agent::LogGrew{key, it->second.begin, it->second.file.synced});
}

protocol::LogSummary SimAgent::SummaryOf(const AttemptKey& key) {
  SyncSpool(key);
  const std::string& bytes = spools_[key].file.bytes;
  world_.oracles.LogEnded(key, bytes);
  return {.size = bytes.size(), .root = loghash::RootOf(bytes), .missing = 0};
}

void SimAgent::Doorbell(const AttemptKey& key) {
  if (!alive()) return;
  process_.After(world_.RandomMillis(5, 80), [this, key] {
    const auto it = containers_.find(key);
    if (it == containers_.end()) return;
    const std::uint64_t life = process_.life();
    SyncSpool(key);
    if (life != process_.life()) return;
    if (world_.agent_disk_full(number_) && !unfollowed_.contains(key)) {
      // What there is to tell waits for the log.
      return process_.After(kTryAgain, [this, key] {
        if (containers_.contains(key)) Doorbell(key);
      });
    }
    if (it->second.result) {
      protocol::AttemptResult result = *it->second.result;
      result.log = SummaryOf(key);
      if (life == process_.life()) Apply(agent::AttemptEnded{key, std::move(result)});
    } else if (it->second.ready && !it->second.client_started) {
      Apply(agent::PublishReady{key, ManifestOf(key)});
    }
  });
}

void SimAgent::Do(agent::AdoptAttempt& action) {
  process_.After(world_.RandomMillis(5, 200), [this, action] { Adopt(action); });
}

void SimAgent::Adopt(const agent::AdoptAttempt& action) {
  if (deleting_.contains(action.key)) return;
  const std::uint64_t life = process_.life();
  SyncSpool(action.key);
  if (life != process_.life()) return;
  if (world_.agent_disk_full(number_)) return FailToAdopt(action);
  if (action.phase == protocol::AttemptPhase::kFinished) return;
  auto it = containers_.find(action.key);
  if (world_.scenario.planted.build_not_attached && action.kind == TaskKind::kBuild) {
    return StartContainer(action.key, action.kind);
  }
  const bool leave_unused = it != containers_.end() && it->second.alive && action.publish_started &&
                            !it->second.client_started;
  if (it != containers_.end() && !leave_unused) return Doorbell(action.key);
  if (it != containers_.end()) containers_.erase(it);
  if (world_.scenario.planted.publish_again_after_crash && action.publish_started) {
    StartContainer(action.key, action.kind);
    return StartClient(action.key, "remembered", kClientDeadline);
  }
  const auto log = SummaryOf(action.key);
  if (life == process_.life()) Apply(agent::AttemptVanished{action.key, log, true});
}

// What there is of it cannot be read, for as long as the disk fails.
void SimAgent::FailToAdopt(const agent::AdoptAttempt& action) {
  const AttemptKey& key = action.key;
  const bool finished = action.phase == protocol::AttemptPhase::kFinished;
  const bool client_may_run = action.publish_started && containers_.contains(key);
  if (client_may_run && !finished && world_.scenario.planted.not_taken_up_is_failed) {
    protocol::AttemptResult result;
    result.failure = FailureOf(FailureClass::kInfrastructure, "DISK_FULL");
    const SimFile& file = spools_[key].file;
    const std::string bytes = file.bytes.substr(0, file.synced);
    result.log = {.size = bytes.size(), .root = loghash::RootOf(bytes), .missing = 0};
    // Its log is followed to that end, so that the result is told.
    agent::AdoptAttempt ended = action;
    ended.phase = protocol::AttemptPhase::kFinished;
    process_.After(kTryAgain, [this, ended] { Adopt(ended); });
    return Apply(agent::AttemptEnded{key, std::move(result)});
  }
  if (finished || (client_may_run && !canceled_.contains(key) && !world_.Chance(0.1))) {
    return process_.After(kTryAgain, [this, action] { Adopt(action); });
  }
  containers_.erase(key);
  // What it came to nobody will ever know.
  world_.oracles.FailureOf(key, FailureClass::kInfrastructure);
  GiveUp(key);
}

void SimAgent::GiveUp(const AttemptKey& key) {
  if (deleting_.contains(key)) return;
  // Its log is sealed first.
  if (world_.agent_disk_full(number_)) {
    return process_.After(kTryAgain, [this, key] { GiveUp(key); });
  }
  const std::uint64_t life = process_.life();
  const protocol::LogSummary log = SummaryOf(key);
  if (life != process_.life()) return;
  Apply(agent::AttemptNotTakenUp{key, FailureOf(FailureClass::kInfrastructure, "DISK_FULL"), log,
                                 true});
}

void SimAgent::Do(agent::CancelAttempt& action) {
  canceled_.insert(action.key);
  const auto it = containers_.find(action.key);
  if (it == containers_.end()) return;
  it->second.canceling = true;
  if (it->second.alive && (it->second.ready || it->second.blocked)) {
    it->second.blocked = false;
    WorkLater(action.key, world_.RandomMillis(10, 100));
  }
}

void SimAgent::Do(agent::DeleteAttempt& action) {
  world_.oracles.Deleted(action.key, id());
  forgotten_.insert(action.key);
  deleting_.insert(action.key);
  process_.After(world_.RandomMillis(5, 400), [this, key = action.key] {
    containers_.erase(key);
    spools_.erase(key);
    forgotten_.erase(key);
    Apply(agent::AttemptDeleted{key});
  });
}

void SimAgent::Do(agent::GivePermit& action) {
  if (action.secret != SecretOf(action.key.task)) {
    world_.oracles.Violation("9: the permit of " + NameOf(action.key) + " lost its secret");
  }
  // Another thread starts the client.
  process_.After(world_.RandomMillis(1, 50), [this, action] {
    const auto it = containers_.find(action.key);
    if (it == containers_.end() || !it->second.alive || it->second.canceling) return;
    if (process_.now() < action.valid_until || world_.scenario.planted.permit_end_ignored) {
      return StartClient(action.key, action.nonce, action.deadline);
    }
    End(action.key, it->second, FailureOf(FailureClass::kTimeout, "PERMIT_EXPIRED"));
  });
}

void SimAgent::StartClient(const AttemptKey& key, const std::string& nonce, Duration deadline) {
  world_.Trace("client of ", NameOf(key), " starts with ", nonce);
  Container& container = containers_.at(key);
  if (container.kind == TaskKind::kPublish) {
    const bool marker_synced = Durable(key) == JournalState::kMarker;
    world_.oracles.ClientStarted(key, nonce, marker_synced, process_.clock_stood());
  }
  container.client_started = true;
  container.client_deadline = machine_.now() + deadline;
  container.ready = false;
  container.writes_left = 1;
  WorkLater(key, world_.RandomMillis(50, 4000));
}

void SimAgent::Do(agent::DenyPermit& action) {
  denied_.insert(action.key);
  const auto it = containers_.find(action.key);
  if (it == containers_.end() || !it->second.alive || it->second.client_started) return;
  End(action.key, it->second, action.failure);
}

void SimAgent::Do(agent::FreeSpool& action) {
  world_.oracles.SpoolFreed(action.key, action.below);
  Spool& spool = spools_[action.key];
  spool.begin = std::max<std::size_t>(spool.begin, action.below);
  const auto it = containers_.find(action.key);
  if (it == containers_.end() || !it->second.blocked) return;
  it->second.blocked = false;
  WorkLater(action.key, Millis(1));
}

}  // namespace slipway::sim
