#include "tests/fuzz/scheduler_rig.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/check.h"

namespace slipway::fuzz {

using domain::Task;
using domain::TaskState;
using protocol::TaskKind;

namespace {

constexpr int kMaxRounds = 1000;

bool IsHeld(const Task& task) {
  return task.state == TaskState::kOffered || task.state == TaskState::kRunning ||
         task.state == TaskState::kUnknown;
}

// One change moves each row by at most one arrow.
void CheckMoves(const std::map<TaskId, Task>& before, const std::map<TaskId, Task>& after,
                const std::map<TaskId, domain::PublishPermit>& permits_before) {
  for (const auto& [id, now] : after) {
    const auto it = before.find(id);
    if (it == before.end()) continue;
    const Task& was = it->second;
    if (was.state != now.state) SLIPWAY_CHECK(domain::MayBecome(was.state, now.state, was.kind));
    const bool offered = was.state == TaskState::kQueued && now.state == TaskState::kOffered;
    SLIPWAY_CHECK(now.attempt.value() == was.attempt.value() + (offered ? 1 : 0));
    // Who had leave to publish stays the only one.
    if (permits_before.contains(id)) SLIPWAY_CHECK(now.attempt == was.attempt);
  }
}

}  // namespace

SchedulerRig::SchedulerRig()
    : core_(scheduler::SchedulerOptions{}), epoch_(store_.BecomeLeader().value()) {
  for (std::size_t i = 0; i < kAgents; ++i)
    agents_.push_back({AgentId("a" + std::to_string(i)), {}});
  Load();
  Commit();
}

void SchedulerRig::Load() {
  store::Unfinished rows = store_.Load(epoch_).value();
  for (const AgentEnd& agent : agents_)
    rows.agents.push_back({.id = agent.id, .name = "", .labels = {}, .seen = false});
  core_.Load(std::move(rows), now_, wall());
}

scheduler::Ticket SchedulerRig::NewTicket() {
  const scheduler::Ticket ticket(++last_ticket_);
  waiting_.insert(ticket);
  return ticket;
}

AttemptKey SchedulerRig::KeyOf(std::size_t number) const {
  if (number >= tasks_.size()) return {TaskId("nobody"), Attempt(1)};
  const Task* row = store_.Find(tasks_[number]);
  return {tasks_[number], row == nullptr ? Attempt(1) : row->attempt};
}

void SchedulerRig::Submit(std::uint8_t request, std::optional<TaskKind> after, bool needs_linux,
                          std::int32_t priority) {
  if (runs_ == kMaxRuns) return;
  const std::string number = std::to_string(runs_++);
  scheduler::Submit event;
  event.ticket = NewTicket();
  event.run.id = RunId("r" + number);
  event.run.application = ApplicationId("app");
  event.run.submitted_by = "admin";
  event.run.request_id = "request-" + std::to_string(request % kMaxRuns);
  Task build;
  build.id = TaskId("b" + number);
  build.run = event.run.id;
  build.application = event.run.application;
  build.priority = priority;
  if (needs_linux) build.requirements["os"] = "linux";
  event.tasks.push_back(build);
  tasks_.push_back(build.id);
  if (after) {
    Task task = build;
    task.id = TaskId("p" + number);
    task.kind = *after;
    task.depends_on = build.id;
    task.state = TaskState::kWaiting;
    event.tasks.push_back(task);
    tasks_.push_back(task.id);
  }
  Enter(event);
}

void SchedulerRig::Cancel(const TaskId& task) {
  Enter(scheduler::Cancel{NewTicket(), task, "admin", "because"});
}

void SchedulerRig::Open(std::size_t agent) {
  AgentEnd& end = agents_[agent % kAgents];
  end.session.emplace(scheduler::Origin{end.id, sessions_.Open(end.id).session}, epoch_, now_);
}

void SchedulerRig::Close(std::size_t agent) {
  AgentEnd& end = agents_[agent % kAgents];
  if (!end.session) return;
  const scheduler::Origin self = end.session->self();
  const bool established = end.session->established();
  end.session.reset();
  (void)sessions_.Close(self.agent, self.session);
  if (established) Enter(scheduler::SessionClosed{self});
}

void SchedulerRig::Hear(std::size_t agent, protocol::AgentMessage message) {
  AgentEnd& end = agents_[agent % kAgents];
  if (!end.session) return;
  auto input = end.session->OnMessage(std::move(message), now_);
  if (!input.ok()) {
    Close(agent);
    return;
  }
  if (!*input) return;
  auto* event = std::get_if<scheduler::Event>(&**input);
  if (event == nullptr) return;
  if (auto* result = std::get_if<scheduler::ResultReported>(event)) CompleteResult(*result);
  if (auto* permit = std::get_if<scheduler::PermitRequested>(event)) {
    // Some come before the shell could look.
    if (permit->manifest.array()[0] != 0xff) permit->nonce = "n" + std::to_string(++last_nonce_);
  }
  Enter(*event);
}

// What the shell would find, by the numbers that the agent told.
void SchedulerRig::CompleteResult(scheduler::ResultReported& event) {
  const protocol::LogSummary& log = event.result.log;
  event.log = log.missing > 0     ? scheduler::LogState::kDamaged
              : log.size % 4 == 3 ? scheduler::LogState::kIncomplete
                                  : scheduler::LogState::kComplete;
  event.log_missing = log.missing;
  const Task* row = store_.Find(event.key.task);
  if (event.result.ok() && row != nullptr && row->kind == TaskKind::kPublish) {
    domain::Release release;
    release.id = ReleaseId("release-" + event.key.task.value());
    release.publish_task = event.key.task;
    event.release = release;
  }
}

void SchedulerRig::Advance(Duration duration) {
  now_ += duration;
  for (std::size_t i = 0; i < kAgents; ++i) {
    if (agents_[i].session && !agents_[i].session->OnTick(now_).ok()) Close(i);
  }
  const auto due = core_.NextDeadline();
  if (due && *due <= now_) Enter(scheduler::Tick{});
}

void SchedulerRig::Enter(const scheduler::Event& event) {
  core_.Apply(event, now_, wall());
  if (gathering_) return;
  const auto before = store_.tasks();
  Commit();
  const auto* inventory = std::get_if<scheduler::InventoryReceived>(&event);
  const auto* accepted = std::get_if<scheduler::Accepted>(&event);
  const auto* refused = std::get_if<scheduler::Refused>(&event);
  const auto* step = std::get_if<scheduler::StepReported>(&event);
  const auto* result = std::get_if<scheduler::ResultReported>(&event);
  const auto* permit = std::get_if<scheduler::PermitRequested>(&event);
  const scheduler::Origin* from = inventory != nullptr  ? &inventory->from
                                  : accepted != nullptr ? &accepted->from
                                  : refused != nullptr  ? &refused->from
                                  : step != nullptr     ? &step->from
                                  : result != nullptr   ? &result->from
                                  : permit != nullptr   ? &permit->from
                                                        : nullptr;
  if (from != nullptr) CheckUntouched(before, {from->agent});
}

void SchedulerRig::Commit(Outcome outcome) {
  gathering_ = false;
  for (int round = 0; core_.HasWork(); ++round) {
    SLIPWAY_CHECK(round < kMaxRounds);
    const std::vector<store::Change> changes = core_.TakeChanges();
    const Outcome now =
        changes.empty() ? Outcome::kCommitted : std::exchange(outcome, Outcome::kCommitted);
    std::vector<absl::Status> statuses;
    if (now != Outcome::kLostBefore) statuses = Store(changes);
    const scheduler::Effects effects =
        now == Outcome::kCommitted ? core_.OnCommitted(statuses, now_, wall()) : core_.OnInDoubt();
    SLIPWAY_CHECK(effects.reload == (now != Outcome::kCommitted));
    CheckEffects(effects);
    if (effects.reload) Load();
  }
  SLIPWAY_CHECK(waiting_.empty());
  CheckAgreement();
}

std::vector<absl::Status> SchedulerRig::Store(const std::vector<store::Change>& changes) {
  std::vector<absl::Status> statuses;
  for (const store::Change& change : changes) {
    const auto before = store_.tasks();
    const auto permits = store_.permits();
    const auto transaction = store_.Begin(epoch_);
    SLIPWAY_CHECK(transaction.ok());
    const auto answer = store_.Commit(*transaction, {change});
    SLIPWAY_CHECK(answer.ok() && answer->size() == 1);
    const bool may_be_refused = std::holds_alternative<store::CreateRun>(change) ||
                                std::holds_alternative<store::RecordStep>(change);
    SLIPWAY_CHECK(answer->front().ok() || may_be_refused);
    CheckMoves(before, store_.tasks(), permits);
    if (const auto* finish = std::get_if<store::FinishTask>(&change); finish && finish->release) {
      SLIPWAY_CHECK(store_.Find(finish->key.task)->kind == TaskKind::kPublish);
    }
    statuses.push_back(answer->front());
  }
  return statuses;
}

void SchedulerRig::CheckEffects(const scheduler::Effects& effects) {
  for (const scheduler::Reply& reply : effects.replies) {
    SLIPWAY_CHECK(waiting_.erase(reply.ticket) == 1);
  }
  for (const scheduler::Outgoing& outgoing : effects.sends) {
    if (const auto* permit = std::get_if<protocol::Permit>(&outgoing.body)) {
      const Task* task = store_.Find(permit->key.task);
      SLIPWAY_CHECK(task != nullptr && task->kind != TaskKind::kBuild);
      SLIPWAY_CHECK(store_.WasStarted(permit->key));
      const auto row = store_.permits().find(permit->key.task);
      if (protocol::IsRepeatable(task->kind)) {
        SLIPWAY_CHECK(row == store_.permits().end());
        // Another one may have been offered it since.
        if (task->attempt == permit->key.attempt) SLIPWAY_CHECK(task->agent == outgoing.agent);
        continue;
      }
      SLIPWAY_CHECK(row != store_.permits().end());
      SLIPWAY_CHECK(row->second.key == permit->key && row->second.nonce == permit->nonce);
      SLIPWAY_CHECK(task->agent == outgoing.agent);
    }
    const auto* desired = std::get_if<protocol::Desired>(&outgoing.body);
    if (desired == nullptr) continue;
    for (const protocol::DesiredAttempt& wanted : desired->attempts) {
      const Task* row = store_.Find(wanted.key.task);
      if (wanted.want == protocol::Want::kOffer) {
        SLIPWAY_CHECK(row != nullptr && row->attempt >= wanted.key.attempt);
      }
      if (wanted.want == protocol::Want::kStart || wanted.want == protocol::Want::kKeep) {
        SLIPWAY_CHECK(store_.WasStarted(wanted.key));
        if (row->attempt == wanted.key.attempt) SLIPWAY_CHECK(row->agent == outgoing.agent);
      }
    }
  }
}

void SchedulerRig::CheckUntouched(const std::map<TaskId, Task>& before,
                                  const std::set<AgentId>& speakers) const {
  for (const auto& [id, was] : before) {
    if (!IsHeld(was) || speakers.contains(was.agent)) continue;
    const Task& now = *store_.Find(id);
    SLIPWAY_CHECK(now.state == was.state && now.attempt == was.attempt && now.agent == was.agent);
  }
}

void SchedulerRig::CheckAgreement() const {
  std::size_t unfinished = 0;
  for (const auto& [id, row] : store_.tasks()) {
    if (!domain::IsTerminal(row.state)) ++unfinished;
    const AttemptKey key{id, row.attempt};
    for (const AgentEnd& agent : agents_) {
      SLIPWAY_CHECK(core_.IsCurrent(agent.id, key) == (IsHeld(row) && row.agent == agent.id));
    }
  }
  SLIPWAY_CHECK(core_.unfinished() == unfinished);
}

}  // namespace slipway::fuzz
