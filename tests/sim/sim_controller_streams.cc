#include <utility>
#include <variant>

#include "common/loghash/segment_hasher.h"
#include "tests/sim/sim_agent.h"
#include "tests/sim/sim_controller.h"

// A controller's streams: what comes in on them, and the logs.
namespace slipway::sim {

using protocol::FailureClass;
using std::chrono::seconds;

namespace {

agent_gateway::SessionOptions SimSessionOptions() {
  return {.sync_interval = seconds(4),
          .first_inventory_timeout = seconds(4),
          .silence_timeout = seconds(15)};
}

}  // namespace

scheduler::Resolve ResolutionOf(const TaskId& publish, bool published, const TaskId& probe) {
  scheduler::Resolve resolve;
  resolve.task = publish;
  resolve.resolution.resolved_by = "dev";
  resolve.resolution.reason = "looked";
  resolve.resolution.probe = probe;
  resolve.result.emplace();
  if (published) {
    resolve.resolution.verdict = domain::PublishVerdict::kPublished;
    resolve.release.emplace();
    resolve.release->id = ReleaseId("release-of-" + publish.value());
    resolve.release->publish_task = publish;
  } else {
    resolve.result->failure.emplace().reason = "PUBLISH_NOT_DONE";
  }
  return resolve;
}

// ---- streams

void SimController::Opened(const std::shared_ptr<Stream>& stream) {
  process_.Do([this, stream] {
    if (!stream->open) return;
    const AgentId agent = SimAgent::IdOf(stream->agent);
    if (Refuses(agent)) return world_.Refuse(stream);
    const auto opened = table_.Open(agent);
    if (opened.replaced) {
      if (Session* old = SessionOf(agent, *opened.replaced)) world_.Reset(old->stream);
    }
    sessions_.emplace(stream->id, Session{stream, agent_gateway::SessionCore(
                                                      {agent, opened.session}, epoch_,
                                                      process_.now(), SimSessionOptions())});
    WatchSession(stream->id);
  });
}

bool SimController::Refuses(const AgentId& agent) const {
  if (dismissed_.contains(agent)) return true;
  return domain::IsGone(world_.store.ModeOf(agent)) &&
         !world_.scenario.planted.revoked_agent_let_in;
}

void SimController::Disconnect(const AgentId& agent) {
  for (auto& [id, session] : sessions_) {
    if (session.core.self().agent == agent) world_.Reset(session.stream);
  }
}

void SimController::Dismiss(const AgentId& agent) {
  if (world_.scenario.planted.revoked_agent_let_in) return;
  world_.Trace(agent, " is dismissed");
  dismissed_.insert(agent);
  for (auto& [id, session] : sessions_) {
    if (session.core.self().agent == agent) world_.Refuse(session.stream);
  }
}

void SimController::WatchSession(std::uint64_t stream) {
  const auto it = sessions_.find(stream);
  if (it == sessions_.end()) return;
  const agent_gateway::SessionCore& core = it->second.core;
  if (!core.OnTick(process_.now()).ok()) return world_.Reset(it->second.stream);
  process_.After(core.NextDeadline() - process_.now(), [this, stream] { WatchSession(stream); });
}

void SimController::Closed(const std::shared_ptr<Stream>& stream) {
  process_.Do([this, stream] {
    const auto it = sessions_.find(stream->id);
    if (it == sessions_.end()) return;
    const scheduler::Origin self = it->second.core.self();
    if (it->second.core.established()) Enter(scheduler::SessionClosed{self});
    (void)table_.Close(self.agent, self.session);
    sessions_.erase(it);
  });
}

void SimController::Receive(const std::shared_ptr<Stream>& stream, protocol::AgentMessage message) {
  process_.Do([this, stream, message = std::move(message)]() mutable {
    const auto it = sessions_.find(stream->id);
    if (it == sessions_.end() || (!stream->open && stream->unread_is_lost)) {
      return world_.HitLost(message, stream->agent, CrashPoint::kLost);
    }
    auto input = it->second.core.OnMessage(std::move(message), process_.now());
    if (!input.ok()) {
      // Its inventory may have been lost on the way.
      if (!absl::IsFailedPrecondition(input.status())) {
        world_.oracles.Violation("3: an honest message was refused: " + input.status().ToString());
      }
      return world_.Reset(stream);
    }
    if (!*input) return;
    if (const auto* chunk = std::get_if<protocol::LogChunk>(&**input)) {
      return TakeChunk(stream, it->second.core.self().agent, *chunk);
    }
    scheduler::Event event = std::get<scheduler::Event>(**std::move(input));
    if (auto* permit = std::get_if<scheduler::PermitRequested>(&event)) {
      permit->deadline = kClientDeadline;
      permit->nonce = "nonce-" + std::to_string(world_.Random(1'000'000'000));
    }
    Enter(std::move(event));
  });
}

void SimController::FillIn(scheduler::ResultReported& event) {
  const Planted& planted = world_.scenario.planted;
  if (planted.old_result_accepted) {
    const domain::Task* row = world_.store.Find(event.key.task);
    const auto holder = row == nullptr ? std::nullopt : table_.Current(row->agent);
    if (holder) {
      event.from = {row->agent, *holder};
      event.key.attempt = row->attempt;
    }
  }
  if (planted.every_failure_retried && event.result.failure) {
    event.result.failure->klass = FailureClass::kNetwork;
  }
  const SimFile& file = world_.controller_logs[event.key];
  const std::string_view durable = std::string_view(file.bytes).substr(0, file.synced);
  if (event.result.log.size > durable.size()) {
    event.log = scheduler::LogState::kIncomplete;
  } else if (event.result.log.missing == 0 && event.result.log.size == durable.size() &&
             event.result.log.root == loghash::RootOf(durable)) {
    event.log = scheduler::LogState::kComplete;
  } else {
    event.log = scheduler::LogState::kDamaged;
    if (!planted.old_result_accepted && core_.IsCurrent(event.from.agent, event.key)) {
      world_.oracles.Violation("6: the log of " + NameOf(event.key) + " does not match its result");
    }
  }
  if (planted.result_before_log || planted.old_result_accepted) {
    event.log = scheduler::LogState::kComplete;
  }
  const domain::Task* row = world_.store.Find(event.key.task);
  if (event.result.ok() && row != nullptr && row->kind == protocol::TaskKind::kPublish) {
    domain::Release release;
    release.id = ReleaseId("release-of-" + event.key.task.value());
    release.publish_task = event.key.task;
    event.release = release;
  }
  if (event.result.ok() && event.result.probe && row != nullptr) {
    event.resolves = ResolveBy(*row, event.result);
  }
}

std::optional<scheduler::Resolve> SimController::ResolveBy(
    const domain::Task& probe, const protocol::AttemptResult& result) const {
  using protocol::ProbeVerdict;
  ProbeVerdict verdict = result.probe->verdict;
  if (verdict == ProbeVerdict::kCannotTell && world_.scenario.planted.probe_guesses) {
    verdict = ProbeVerdict::kNotPublished;
  }
  if (verdict == ProbeVerdict::kCannotTell) return std::nullopt;
  return ResolutionOf(probe.depends_on, verdict == ProbeVerdict::kPublished, probe.id);
}

// ---- logs

void SimController::TakeChunk(const std::shared_ptr<Stream>& stream, const AgentId& agent,
                              const protocol::LogChunk& chunk) {
  // A log has one writer: the leader.
  if (loading_ || world_.store.epoch() != epoch_) return;
  const bool old = world_.scenario.planted.old_result_accepted;
  if (!old && !core_.IsCurrent(agent, chunk.key)) return;
  SimFile& file = world_.controller_logs[chunk.key];
  if (world_.controller_disk_full() && !chunk.data.empty()) {
    // Nothing of it is taken; what is there is what the next cursor starts from.
    world_.Trace("controller refuses log bytes of ", NameOf(chunk.key), ": disk full");
    world_.HitLost(chunk, stream->agent, CrashPoint::kLost);
    return world_.Reset(stream);
  }
  auto it = logs_.find(chunk.key);
  if (it == logs_.end()) {
    file.synced = file.bytes.size();
    it = logs_
             .emplace(chunk.key,
                      Log{logs::LogCursor(chunk.key, file.synced, {.ack_every_bytes = 64})})
             .first;
  }
  Log& log = it->second;
  const auto verdict = log.cursor.OnChunk(chunk.offset, chunk.data.size());
  file.bytes.append(chunk.data, verdict.skip, verdict.take);
  const bool lie = world_.scenario.planted.log_acked_before_synced;
  if (lie && log.cursor.OnSynced(log.cursor.received())) Acknowledge(stream, chunk.key);
  if (verdict.ack_now) Acknowledge(stream, chunk.key);
  if (log.cursor.durable() == log.cursor.received() && !lie) return;
  if (log.syncing) return;
  log.syncing = true;
  process_.After(world_.RandomMillis(5, 60),
                 [this, stream, key = chunk.key] { SyncLog(stream, key); });
}

void SimController::SyncLog(const std::shared_ptr<Stream>& stream, const AttemptKey& key) {
  Log& log = logs_.at(key);
  log.syncing = false;
  if (world_.store.epoch() != epoch_) return;
  SimFile& file = world_.controller_logs[key];
  file.synced = file.bytes.size();
  if (log.cursor.OnSynced(file.synced)) Acknowledge(stream, key);
}

void SimController::Acknowledge(const std::shared_ptr<Stream>& stream, const AttemptKey& key) {
  const auto it = sessions_.find(stream->id);
  if (it == sessions_.end()) return;
  auto message = it->second.core.Stamp(logs_.at(key).cursor.Ack());
  if (world_.scenario.planted.epoch_ignored) message.epoch = world_.store.epoch();
  world_.ToAgent(stream, std::move(message));
}

}  // namespace slipway::sim
