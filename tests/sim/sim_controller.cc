#include "tests/sim/sim_controller.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "tests/sim/sim_agent.h"

namespace slipway::sim {

using protocol::Want;
using std::chrono::seconds;

scheduler::SchedulerOptions SimSchedulerOptions() {
  return {.offer_timeout = seconds(4),
          .lease_ttl = seconds(15),
          .grace = seconds(15),
          .standstill = seconds(20),
          .max_attempts = 3,
          .retry_delay = seconds(1),
          .longest_retry_delay = seconds(10),
          .refusal_pause = seconds(1),
          .no_agent_grace = std::chrono::minutes(10),
          .permit_ttl = seconds(20),
          .publish_margin = seconds(3),
          .max_unfinished = 1000};
}

namespace {

scheduler::SchedulerOptions OptionsOf(const Scenario& scenario) {
  scheduler::SchedulerOptions options = SimSchedulerOptions();
  if (scenario.short_leases) options.lease_ttl = seconds(6);
  if (scenario.planted.no_grace) options.grace = seconds(1);
  if (scenario.planted.standstill_not_seen) options.standstill = std::chrono::hours(24);
  if (scenario.planted.margin_forgotten) options.publish_margin = Duration::zero();
  return options;
}

}  // namespace

SimController::SimController(World& world)
    : world_(world), process_(world), core_(OptionsOf(world.scenario)) {
  process_.Start();
  Lead(0);
}

// The new term begins when no transaction of the old one is open; the server ends those of a
// holder that stands still.
void SimController::Lead(int tries) {
  if (tries == 20) world_.store.EndWriters();
  const auto epoch = world_.store.BecomeLeader();
  if (!epoch.ok()) return process_.After(Millis(100), [this, tries] { Lead(tries + 1); });
  epoch_ = *epoch;
  world_.Trace("controller leads, term ", epoch_);
  Watch();
  Load();
}

// A leader's own connection tells it soon that another one leads.
void SimController::Watch() {
  process_.After(world_.RandomMillis(500, 8000), [this] {
    if (world_.store.epoch() != epoch_) return Crash(false);
    Watch();
  });
}

void SimController::Crash(bool machine) {
  if (!alive()) return;
  world_.Trace("controller of term ", epoch_, " dies", machine ? " with its machine" : "");
  HitBatch(stored_);
  for (const scheduler::Event& event : inbox_) HitUnread(event);
  if (transaction_) world_.store.Abort(*transaction_);
  process_.Die();
  for (auto& [key, file] : world_.controller_logs) {
    if (world_.store.epoch() != epoch_) break;  // the disk is another one's by now
    if (machine && file.bytes.size() > file.synced) {
      world_.Hit(Message::kLogChunk, CrashPoint::kReceiverBefore, key, -1);
      world_.Hit(Message::kLogAck, CrashPoint::kSenderBefore, key, -1);
      file.bytes.resize(file.synced + world_.Random(file.bytes.size() - file.synced + 1));
    }
    file.synced = file.bytes.size();
  }
  world_.ControllerDied(*this);
}

void SimController::Freeze(Duration length) {
  if (!alive()) return;
  world_.Trace("controller of term ", epoch_, " is frozen");
  process_.Freeze(length, world_.scenario.faults.clocks_stand);
  // The other ends give up a silent connection.
  for (auto& [id, session] : sessions_) {
    world_.After(world_.RandomMillis(14'000, 17'000), [this, stream = session.stream] {
      if (frozen()) world_.Reset(stream);
    });
  }
}

void SimController::Load() {
  loading_ = true;
  process_.After(world_.RandomMillis(1, 200), [this] {
    auto rows = world_.store.Load(epoch_);
    if (!rows.ok()) return Crash(false);
    for (const auto& agent : world_.agents) {
      if (domain::IsGone(world_.store.ModeOf(agent->id()))) continue;
      rows->agents.push_back({.id = agent->id(), .name = "", .labels = {}, .seen = false});
    }
    if (world_.scenario.planted.groups_lost_at_reload) {
      for (domain::Task& task : rows->tasks) task.group.clear();
    }
    core_.Load(*std::move(rows), process_.now(), process_.wall());
    loaded_at_ = world_.now();
    loading_ = false;
    busy_ = true;
    RunBatch();
  });
}

MonoTime SimController::AwakeSince() const {
  const bool stood = process_.last_freeze() > SimSchedulerOptions().standstill + seconds(1);
  return stood && !process_.clock_stood() ? std::max(loaded_at_, process_.thawed_at()) : loaded_at_;
}

// ---- batches

void SimController::Enter(scheduler::Event event) {
  inbox_.push_back(std::move(event));
  if (busy_ || loading_) return;
  busy_ = true;
  process_.After(world_.RandomMillis(0, 3), [this] { RunBatch(); });
}

void SimController::RunBatch() {
  if (world_.failed()) return;
  events_.clear();
  ApplyInbox();
  NextCommit();
}

void SimController::ApplyInbox() {
  decided_at_ = world_.now();
  awake_since_ = AwakeSince();
  for (scheduler::Event& event : std::exchange(inbox_, {})) {
    if (auto* result = std::get_if<scheduler::ResultReported>(&event)) FillIn(*result);
    core_.Apply(event, process_.now(), process_.wall());
    events_.push_back(std::move(event));
  }
  const auto due = core_.NextDeadline();
  if (due && *due <= process_.now()) {
    core_.Apply(scheduler::Tick{}, process_.now(), process_.wall());
  }
}

void SimController::NextCommit() {
  // As in the shell: what follows from a commit shares the next with what came meanwhile.
  if (core_.HasWork() && !inbox_.empty()) ApplyInbox();
  if (!core_.HasWork()) {
    busy_ = false;
    events_.clear();
    ArmTick();
    if (!inbox_.empty()) {
      busy_ = true;
      process_.After(world_.RandomMillis(0, 3), [this] { RunBatch(); });
    }
    return;
  }
  changes_ = core_.TakeChanges();
  stored_ = false;
  if (changes_.empty()) return Committed(std::vector<absl::Status>());
  if (world_.scenario.planted.told_before_commit) {
    const std::vector<absl::Status> fine(changes_.size(), absl::OkStatus());
    Perform(core_.OnCommitted(fine, process_.now(), process_.wall()), [] {});
    if (!alive()) return;
  }
  const auto transaction = world_.store.Begin(epoch_);
  if (!transaction.ok()) return Crash(false);
  transaction_ = *transaction;
  process_.After(world_.RandomMillis(1, 20), [this] { Commit(*transaction_); });
}

void SimController::Commit(SimStore::Transaction transaction) {
  if (world_.failed()) return;
  transaction_.reset();
  const double in_doubt = world_.scenario.faults.in_doubt;
  const bool lost_before = world_.Mishap(in_doubt);
  const bool lost_after = world_.Mishap(in_doubt);
  absl::StatusOr<std::vector<absl::Status>> answer = absl::UnknownError("in doubt");
  if (lost_before) {
    world_.store.Abort(transaction);
  } else {
    answer = world_.store.Commit(transaction, changes_);
  }
  stored_ = answer.ok();
  if (stored_) {
    world_.oracles.Committed({.events = events_,
                              .changes = changes_,
                              .statuses = *answer,
                              .decided_at = decided_at_,
                              .awake_since = awake_since_});
    if (lost_after) answer = absl::UnknownError("in doubt");
  }
  process_.After(world_.RandomMillis(0, 10), [this, answer] {
    if (!world_.scenario.planted.told_before_commit) return Committed(answer);
    answer.ok() ? NextCommit() : Load();
  });
}

void SimController::Committed(const absl::StatusOr<std::vector<absl::Status>>& answer) {
  if (world_.failed()) return;
  if (!answer.ok()) {
    HitBatch(stored_);
    for (const store::Change& change : changes_) ++world_.doubts.at(change.index())[stored_];
  }
  const scheduler::Effects effects =
      answer.ok() ? core_.OnCommitted(*answer, process_.now(), process_.wall()) : core_.OnInDoubt();
  events_.clear();
  changes_.clear();
  Perform(effects, [this, reload = effects.reload] {
    if (!reload) return NextCommit();
    world_.Trace("controller reloads");
    Load();
  });
}

void SimController::Perform(const scheduler::Effects& effects, const std::function<void()>& then) {
  for (const AgentId& agent : effects.disconnected) Disconnect(agent);
  for (const scheduler::DismissedAgent& gone : effects.dismissed) Dismiss(gone.agent);
  for (const scheduler::Reply& reply : effects.replies) {
    const auto caller = callers_.find(reply.ticket);
    if (caller == callers_.end()) {
      world_.oracles.Violation("2: an answer to nobody");
      continue;
    }
    const auto done = std::move(caller->second);
    callers_.erase(caller);
    done(reply);
  }
  SendAll(std::make_shared<const std::vector<scheduler::Outgoing>>(effects.sends), 0, then);
}

void SimController::SendAll(const Sends& sends, std::size_t from,
                            const std::function<void()>& then) {
  const Faults& faults = world_.scenario.faults;
  for (std::size_t i = from; i < sends->size(); ++i) {
    if (world_.Mishap(faults.crash_between_actions)) {
      for (std::size_t rest = i; rest < sends->size(); ++rest) {
        world_.HitLost(protocol::ControllerMessage{epoch_, (*sends)[rest].body}, -1,
                       CrashPoint::kSenderBefore);
      }
      return Crash(false);
    }
    if (world_.Mishap(faults.freeze_between_actions)) {
      world_.Trace("controller of term ", epoch_, " is frozen between two messages");
      return process_.FreezeBefore(world_.RandomMillis(1000, 60'000), faults.clocks_stand,
                                   [this, sends, i, then] { SendAll(sends, i, then); });
    }
    SendOut((*sends)[i]);
  }
  then();
}

SimController::Session* SimController::SessionOf(const AgentId& agent, SessionId id) {
  for (auto& [stream, session] : sessions_) {
    if (session.core.self().session == id && session.core.self().agent == agent) return &session;
  }
  return nullptr;
}

void SimController::SendOut(const scheduler::Outgoing& outgoing) {
  const Planted& planted = world_.scenario.planted;
  scheduler::Outgoing said = outgoing;
  if (auto* permit = std::get_if<protocol::Permit>(&said.body)) {
    permit->secret = SecretOf(permit->key.task);
    if (planted.new_nonce_when_asked_again) {
      permit->nonce = "nonce-" + std::to_string(world_.Random(1'000'000'000));
    }
  }
  world_.oracles.Told(epoch_, said);
  Session* session = SessionOf(outgoing.agent, outgoing.session);
  if (session == nullptr) return;
  if (auto* desired = std::get_if<protocol::Desired>(&said.body)) {
    for (protocol::DesiredAttempt& wanted : desired->attempts) {
      const domain::Task* row = world_.store.Find(wanted.key.task);
      const bool keep = planted.never_forgotten || (planted.old_result_accepted && row != nullptr &&
                                                    !domain::IsTerminal(row->state));
      if (keep && wanted.want == Want::kForget) wanted.want = Want::kKeep;
      if (wanted.want == Want::kStart) wanted.spec = "spec of " + wanted.key.task.value();
    }
  }
  auto message = session->core.Stamp(std::move(said.body));
  if (planted.epoch_ignored) message.epoch = world_.store.epoch();
  world_.ToAgent(session->stream, std::move(message));
}

void SimController::ArmTick() {
  const auto due = core_.NextDeadline();
  if (!due || (tick_armed_ && *tick_armed_ <= *due)) return;
  tick_armed_ = std::max(*due, process_.now());
  process_.After(*tick_armed_ - process_.now(), [this, mine = ++ticks_armed_] {
    if (mine != ticks_armed_) return;
    tick_armed_.reset();
    if (!busy_ && !loading_) Enter(scheduler::Tick{});
  });
}

// ---- crash points

void SimController::HitUnread(const scheduler::Event& event) {
  const auto hit = [&](Message message, const AttemptKey& key) {
    world_.Hit(message, CrashPoint::kReceiverBefore, key, -1);
  };
  if (const auto* accepted = std::get_if<scheduler::Accepted>(&event)) {
    hit(Message::kAccept, accepted->key);
  } else if (const auto* refused = std::get_if<scheduler::Refused>(&event)) {
    hit(Message::kRefuse, refused->key);
  } else if (const auto* step = std::get_if<scheduler::StepReported>(&event)) {
    hit(Message::kStepReport, step->step.key);
  } else if (const auto* result = std::get_if<scheduler::ResultReported>(&event)) {
    hit(Message::kResultReport, result->key);
  } else if (const auto* permit = std::get_if<scheduler::PermitRequested>(&event)) {
    hit(Message::kPermitRequest, permit->key);
  } else if (std::holds_alternative<scheduler::InventoryReceived>(event)) {
    hit(Message::kInventory, {});
  } else if (const auto* submit = std::get_if<scheduler::Submit>(&event)) {
    world_.Hit(Message::kSubmit, CrashPoint::kSenderBefore, {submit->tasks.front().id, {}}, -1);
  } else if (const auto* cancel = std::get_if<scheduler::Cancel>(&event)) {
    world_.Hit(Message::kCancelCall, CrashPoint::kSenderBefore, {cancel->task, {}}, -1);
  } else if (const auto* resolve = std::get_if<scheduler::Resolve>(&event)) {
    world_.Hit(Message::kResolveCall, CrashPoint::kSenderBefore, {resolve->task, {}}, -1);
  }
}

void SimController::HitBatch(bool stored) {
  const CrashPoint point = stored ? CrashPoint::kLost : CrashPoint::kSenderBefore;
  const auto hit = [&](Message message, const AttemptKey& key) {
    world_.Hit(message, point, key, -1);
  };
  for (const scheduler::Event& event : events_) {
    if (!stored) {
      HitUnread(event);
    } else if (const auto* submit = std::get_if<scheduler::Submit>(&event)) {
      hit(Message::kSubmit, {submit->tasks.front().id, {}});
    } else if (const auto* cancel = std::get_if<scheduler::Cancel>(&event)) {
      hit(Message::kCancelCall, {cancel->task, {}});
    } else if (const auto* resolve = std::get_if<scheduler::Resolve>(&event)) {
      hit(Message::kResolveCall, {resolve->task, {}});
    }
  }
  for (const store::Change& change : changes_) {
    if (const auto* offer = std::get_if<store::OfferTask>(&change)) {
      hit(Message::kOffer, offer->key);
    } else if (const auto* start = std::get_if<store::StartTask>(&change)) {
      hit(Message::kStart, start->key);
    } else if (const auto* finish = std::get_if<store::FinishTask>(&change)) {
      if (finish->key.attempt > Attempt()) hit(Message::kForget, finish->key);
    } else if (const auto* requeue = std::get_if<store::RequeueTask>(&change)) {
      hit(Message::kForget, requeue->key);
    } else if (const auto* grant = std::get_if<store::GrantPermit>(&change)) {
      hit(Message::kPermit, grant->permit.key);
    } else if (const auto* cancel = std::get_if<store::RequestCancel>(&change)) {
      const domain::Task* row = world_.store.Find(cancel->task);
      if (row->state == domain::TaskState::kRunning) {
        hit(Message::kCancel, {row->id, row->attempt});
      }
    }
  }
}

void SimController::Call(scheduler::Event event, scheduler::Ticket ticket,
                         std::function<void(const scheduler::Reply&)> done) {
  process_.Do([this, event = std::move(event), ticket, done = std::move(done)]() mutable {
    callers_.emplace(ticket, std::move(done));
    if (auto* resolve = std::get_if<scheduler::Resolve>(&event)) {
      resolve->said_at = process_.wall();
      resolve->said_at_mono = process_.now();
    }
    if (auto* submit = std::get_if<scheduler::Submit>(&event)) {
      domain::Task& first = submit->tasks.front();
      first.created_at = first.queued_since = process_.wall();
    }
    Enter(std::move(event));
  });
}

}  // namespace slipway::sim
