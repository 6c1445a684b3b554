#include "tests/sim/sim_controller.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "common/loghash/segment_hasher.h"
#include "tests/sim/sim_agent.h"

namespace slipway::sim {

using domain::TaskState;
using protocol::Want;
using std::chrono::seconds;

scheduler::SchedulerOptions SimSchedulerOptions() {
  return {.offer_timeout = seconds(4),
          .lease_ttl = seconds(25),
          .grace = seconds(25),
          .standstill = seconds(20),
          .max_attempts = 3,
          .retry_delay = seconds(1),
          .refusal_pause = seconds(1),
          .permit_ttl = seconds(20),
          .max_unfinished = 1000};
}

namespace {

agent_gateway::SessionOptions SimSessionOptions() {
  return {.sync_interval = seconds(4),
          .first_inventory_timeout = seconds(4),
          .silence_timeout = seconds(15)};
}

}  // namespace

SimController::SimController(World& world)
    : world_(world), epoch_(world.store.BecomeLeader()), core_(SimSchedulerOptions()) {
  world_.Trace("controller starts, epoch " + std::to_string(epoch_.value()));
  Load();
}

void SimController::Crash(bool machine) {
  world_.Trace(std::string("controller crashes") + (machine ? " with its machine" : ""));
  alive_ = false;
  for (auto& [key, file] : world_.controller_logs) {
    if (world_.store.epoch() != epoch_) break;  // the disk is another one's by now
    if (machine) file.bytes.resize(file.synced);
    file.synced = file.bytes.size();
  }
  for (auto& [id, session] : sessions_) world_.Reset(session.stream);
}

void SimController::Load() {
  loading_ = true;
  world_.After(world_.RandomMillis(1, 200), [this] {
    if (!alive_) return;
    auto rows = world_.store.Load(epoch_);
    if (!rows.ok()) return Crash(false);
    core_.Load(*std::move(rows), world_.now(), world_.wall());
    loading_ = false;
    busy_ = true;
    RunBatch();
  });
}

void SimController::Enter(scheduler::Event event) {
  inbox_.push_back(std::move(event));
  if (busy_ || loading_) return;
  busy_ = true;
  world_.After(world_.RandomMillis(0, 3), [this] { RunBatch(); });
}

void SimController::RunBatch() {
  if (!alive_ || world_.failed()) return;
  for (const scheduler::Event& event : std::exchange(inbox_, {})) {
    core_.Apply(event, world_.now(), world_.wall());
  }
  const auto due = core_.NextDeadline();
  if (due && *due <= world_.now()) core_.Apply(scheduler::Tick{}, world_.now(), world_.wall());
  NextCommit();
}

void SimController::NextCommit() {
  if (!core_.HasWork()) {
    busy_ = false;
    ArmTick();
    if (!inbox_.empty()) {
      busy_ = true;
      world_.After(world_.RandomMillis(0, 3), [this] { RunBatch(); });
    }
    return;
  }
  auto changes = core_.TakeChanges();
  if (changes.empty()) return Committed(std::vector<absl::Status>());
  const bool too_early = world_.scenario.planted.told_before_commit;
  if (too_early) {
    const std::vector<absl::Status> fine(changes.size(), absl::OkStatus());
    Do(core_.OnCommitted(fine, world_.now(), world_.wall()));
  }
  world_.After(world_.RandomMillis(1, 20), [this, too_early, changes = std::move(changes)] {
    if (!alive_ || world_.failed()) return;
    const bool lost_before = world_.Mishap(world_.scenario.faults.in_doubt);
    const bool lost_after = world_.Mishap(world_.scenario.faults.in_doubt);
    absl::StatusOr<std::vector<absl::Status>> answer = absl::UnavailableError("in doubt");
    if (!lost_before) answer = world_.store.Commit(epoch_, changes);
    if (answer.ok()) CheckResults();
    if (lost_after && answer.ok()) answer = absl::UnavailableError("in doubt");
    world_.After(world_.RandomMillis(0, 10), [this, answer, too_early] {
      if (!too_early) return Committed(answer);
      if (alive_) answer.ok() ? NextCommit() : Load();
    });
  });
}

void SimController::Committed(const absl::StatusOr<std::vector<absl::Status>>& answer) {
  if (!alive_ || world_.failed()) return;
  if (absl::IsFailedPrecondition(answer.status())) return Crash(false);
  const scheduler::Effects effects =
      answer.ok() ? core_.OnCommitted(*answer, world_.now(), world_.wall()) : core_.OnInDoubt();
  Do(effects);
  if (!effects.reload) return NextCommit();
  world_.Trace("controller reloads");
  Load();
}

void SimController::CheckResults() {
  for (const auto& [key, agent] : world_.store.TakeStoredResults()) {
    const domain::Task& task = *world_.store.Find(key.task);
    const protocol::AttemptResult& result = *task.result;
    // 1: what is stored was reported by the current attempt itself.
    const std::string author = key.task.value() + "/" + std::to_string(key.attempt.value());
    if (result.build && result.build->commit != author) {
      world_.Violation("1: result of " + result.build->commit + " stored for " + author);
    }
    // Made by the scheduler for a lost agent: it knows nothing of the log's end.
    if (result.log.root.IsZero()) continue;
    if (task.state == TaskState::kUnknown || result.log.missing > 0) continue;
    const auto ended = world_.ended_logs.find(key);
    if (ended == world_.ended_logs.end()) continue;
    // 6: final only when every byte is on the controller's disk.
    const SimFile& file = world_.controller_logs[key];
    if (file.bytes.substr(0, file.synced) != ended->second ||
        result.log.size != ended->second.size()) {
      world_.Violation("6: " + author + " is final with " + std::to_string(file.synced) + " of " +
                       std::to_string(ended->second.size()) + " log bytes on disk");
    }
  }
}

void SimController::Do(const scheduler::Effects& effects) {
  for (const scheduler::Reply& reply : effects.replies) {
    const auto caller = callers_.find(reply.ticket);
    if (caller == callers_.end()) {
      world_.Violation("an answer to nobody");
      continue;
    }
    const auto done = std::move(caller->second);
    callers_.erase(caller);
    done(reply);
  }
  for (const scheduler::Outgoing& outgoing : effects.sends) SendOut(outgoing);
}

SimController::Session* SimController::SessionOf(const AgentId& agent, SessionId id) {
  for (auto& [stream, session] : sessions_) {
    if (session.core.self().agent == agent && session.core.self().session == id) return &session;
  }
  return nullptr;
}

void SimController::CheckTold(const scheduler::Outgoing& outgoing) {
  // Only the leader's truth is current; what an older one still says is the epoch's business.
  if (world_.store.epoch() != epoch_) return;
  const auto complain = [&](const AttemptKey& key, const std::string& what) {
    const domain::Task* row = world_.store.Find(key.task);
    world_.Violation("2: told " + what + " of " + key.task.value() + "/" +
                     std::to_string(key.attempt.value()) + ", but the row says " +
                     (row == nullptr ? "nothing"
                                     : std::string(domain::TaskStateName(row->state)) + "/" +
                                           std::to_string(row->attempt.value())));
  };
  if (const auto* permit = std::get_if<protocol::Permit>(&outgoing.body)) {
    const auto row = world_.store.permits().find(permit->key.task);
    if (row == world_.store.permits().end() || row->second.nonce != permit->nonce) {
      complain(permit->key, "permit");
    }
  }
  const auto* desired = std::get_if<protocol::Desired>(&outgoing.body);
  if (desired == nullptr) return;
  for (const protocol::DesiredAttempt& wanted : desired->attempts) {
    const domain::Task* row = world_.store.Find(wanted.key.task);
    const bool current = world_.store.IsCurrent(wanted.key);
    const TaskState state = row == nullptr ? TaskState::kSkipped : row->state;
    switch (wanted.want) {
      // A later event of the same batch may have gone further: the row is this or beyond.
      case Want::kOffer:
        if (row == nullptr || row->attempt < wanted.key.attempt) complain(wanted.key, "offer");
        break;
      case Want::kStart:
      case Want::kKeep:
        if (!world_.store.WasStarted(wanted.key)) complain(wanted.key, "start");
        break;
      case Want::kCancel:
        // A publish that is unknown and asks again for its permit is ended, too.
        if (row == nullptr || (!row->cancel_requested && !world_.store.permits().contains(row->id)))
          complain(wanted.key, "cancel");
        break;
      case Want::kForget:
        if (current && (state != TaskState::kUnknown || !row->result)) {
          complain(wanted.key, "forget");
        }
        break;
    }
  }
}

void SimController::SendOut(const scheduler::Outgoing& outgoing) {
  Session* session = SessionOf(outgoing.agent, outgoing.session);
  if (session == nullptr) return;
  CheckTold(outgoing);
  auto body = outgoing.body;
  if (auto* desired = std::get_if<protocol::Desired>(&body)) {
    for (protocol::DesiredAttempt& wanted : desired->attempts) {
      const domain::Task* row = world_.store.Find(wanted.key.task);
      const bool keep = world_.scenario.planted.old_result_accepted && row != nullptr &&
                        !domain::IsTerminal(row->state);
      if (keep && wanted.want == Want::kForget) wanted.want = Want::kKeep;
      if (wanted.want == Want::kStart) wanted.spec = "spec of " + wanted.key.task.value();
    }
  }
  if (auto* permit = std::get_if<protocol::Permit>(&body)) permit->secret = "secret";
  auto message = session->core.Stamp(std::move(body));
  if (world_.scenario.planted.epoch_ignored) message.epoch = world_.store.epoch();
  auto stream = session->stream;
  world_.ToAgent(stream, 0, [this, stream, message] {
    world_.agents[static_cast<std::size_t>(stream->agent)]->Receive(stream, message);
  });
}

void SimController::ArmTick() {
  const auto due = core_.NextDeadline();
  if (!due || (tick_armed_ && *tick_armed_ <= *due)) return;
  tick_armed_ = std::max(*due, world_.now());
  world_.After(*tick_armed_ - world_.now(), [this] {
    tick_armed_.reset();
    if (alive_ && !busy_ && !loading_) Enter(scheduler::Tick{});
  });
}

void SimController::Opened(const std::shared_ptr<Stream>& stream) {
  const AgentId agent("agent-" + std::to_string(stream->agent));
  const auto opened = table_.Open(agent);
  if (opened.replaced) {
    if (Session* old = SessionOf(agent, *opened.replaced)) world_.Reset(old->stream);
  }
  sessions_.emplace(stream->id,
                    Session{stream, agent_gateway::SessionCore({agent, opened.session}, epoch_,
                                                               world_.now(), SimSessionOptions())});
  const auto watch = [this, id = stream->id](auto self) -> void {
    const auto it = sessions_.find(id);
    if (!alive_ || it == sessions_.end()) return;
    if (!it->second.core.OnTick(world_.now()).ok()) return world_.Reset(it->second.stream);
    world_.After(it->second.core.NextDeadline() - world_.now(), [self] { self(self); });
  };
  watch(watch);
}

void SimController::Closed(const std::shared_ptr<Stream>& stream) {
  const auto it = sessions_.find(stream->id);
  if (!alive_ || it == sessions_.end()) return;
  const scheduler::Origin self = it->second.core.self();
  if (it->second.core.established()) Enter(scheduler::SessionClosed{self});
  (void)table_.Close(self.agent, self.session);
  sessions_.erase(it);
}

void SimController::Receive(const std::shared_ptr<Stream>& stream, protocol::AgentMessage message) {
  const auto it = sessions_.find(stream->id);
  if (!alive_ || it == sessions_.end()) return;
  auto input = it->second.core.OnMessage(std::move(message), world_.now());
  if (!input.ok()) {
    // Its inventory may have been lost on the way.
    if (!absl::IsFailedPrecondition(input.status())) {
      world_.Violation("an honest message was refused: " + input.status().ToString());
    }
    return world_.Reset(stream);
  }
  if (!*input) return;
  if (const auto* chunk = std::get_if<protocol::LogChunk>(&**input)) {
    return TakeChunk(stream, it->second.core.self().agent, *chunk);
  }
  scheduler::Event event = std::get<scheduler::Event>(**std::move(input));
  if (auto* result = std::get_if<scheduler::ResultReported>(&event)) FillIn(*result);
  if (auto* permit = std::get_if<scheduler::PermitRequested>(&event)) {
    permit->nonce = "nonce-" + std::to_string(world_.Random(1'000'000'000));
  }
  Enter(std::move(event));
}

void SimController::FillIn(scheduler::ResultReported& event) {
  if (world_.scenario.planted.old_result_accepted) {
    const domain::Task* row = world_.store.Find(event.key.task);
    const auto holder = row == nullptr ? std::nullopt : table_.Current(row->agent);
    if (holder) {
      event.from = {row->agent, *holder};
      event.key.attempt = row->attempt;
    }
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
    const AttemptKey& key = event.key;
    if (!world_.scenario.planted.old_result_accepted && core_.IsCurrent(event.from.agent, key)) {
      world_.Violation("6: the log of " + key.task.value() + " does not match its result");
    }
  }
  if (world_.scenario.planted.result_before_log || world_.scenario.planted.old_result_accepted)
    event.log = scheduler::LogState::kComplete;
  const domain::Task* row = world_.store.Find(event.key.task);
  if (event.result.ok() && row != nullptr && row->kind == protocol::TaskKind::kPublish) {
    domain::Release release;
    release.id = ReleaseId("release-of-" + event.key.task.value());
    release.publish_task = event.key.task;
    event.release = release;
  }
}

void SimController::TakeChunk(const std::shared_ptr<Stream>& stream, const AgentId& agent,
                              const protocol::LogChunk& chunk) {
  const bool old = world_.scenario.planted.old_result_accepted;
  // A log has one writer: the leader.
  if (loading_ || world_.store.epoch() != epoch_) return;
  if (!old && !core_.IsCurrent(agent, chunk.key)) return;
  SimFile& file = world_.controller_logs[chunk.key];
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
  file.bytes += chunk.data.substr(verdict.skip, verdict.take);
  const bool lie = world_.scenario.planted.log_acked_before_synced;
  if (lie && log.cursor.OnSynced(log.cursor.received())) Acknowledge(stream, chunk.key);
  if (verdict.ack_now) Acknowledge(stream, chunk.key);
  if (log.cursor.durable() == log.cursor.received() && !lie) return;
  if (log.syncing) return;
  log.syncing = true;
  world_.After(world_.RandomMillis(5, 60), [this, stream, key = chunk.key] {
    if (!alive_) return;
    Log& synced = logs_.at(key);
    synced.syncing = false;
    SimFile& target = world_.controller_logs[key];
    target.synced = target.bytes.size();
    if (synced.cursor.OnSynced(target.synced)) Acknowledge(stream, key);
  });
}

void SimController::Acknowledge(const std::shared_ptr<Stream>& stream, const AttemptKey& key) {
  const auto it = sessions_.find(stream->id);
  if (it == sessions_.end()) return;
  auto message = it->second.core.Stamp(logs_.at(key).cursor.Ack());
  if (world_.scenario.planted.epoch_ignored) message.epoch = world_.store.epoch();
  world_.ToAgent(stream, 1, [this, stream, message] {
    world_.agents[static_cast<std::size_t>(stream->agent)]->Receive(stream, message);
  });
}

void SimController::Call(scheduler::Event event, scheduler::Ticket ticket,
                         std::function<void(const scheduler::Reply&)> done) {
  callers_.emplace(ticket, std::move(done));
  Enter(std::move(event));
}

}  // namespace slipway::sim
