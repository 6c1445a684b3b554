#include "controller/scheduler/scheduler_core.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/check.h"
#include "common/status/status.h"
#include "controller/domain/task_actions.h"
#include "controller/scheduler/scheduler_impl.h"

namespace slipway::scheduler {

using domain::TaskState;

SchedulerCore::SchedulerCore(SchedulerOptions options) : impl_(std::make_unique<Impl>(options)) {}
SchedulerCore::~SchedulerCore() = default;
SchedulerCore::SchedulerCore(SchedulerCore&&) noexcept = default;
SchedulerCore& SchedulerCore::operator=(SchedulerCore&&) noexcept = default;

void SchedulerCore::Load(store::Unfinished unfinished, MonoTime now, WallTime wall) {
  impl_->Load(std::move(unfinished), {now, wall});
}
void SchedulerCore::Apply(const Event& event, MonoTime now, WallTime wall) {
  impl_->Apply(event, {now, wall});
}
bool SchedulerCore::HasWork() const { return impl_->HasWork(); }
std::vector<store::Change> SchedulerCore::TakeChanges() { return impl_->TakeChanges(); }
Effects SchedulerCore::OnCommitted(const std::vector<absl::Status>& statuses, MonoTime now,
                                   WallTime wall) {
  return impl_->OnCommitted(statuses, {now, wall});
}
Effects SchedulerCore::OnNotStored(const absl::Status& why) { return impl_->OnNotStored(why); }
Effects SchedulerCore::OnInDoubt() { return impl_->OnInDoubt(); }
std::optional<MonoTime> SchedulerCore::NextDeadline() const { return impl_->NextDeadline(); }
bool SchedulerCore::IsCurrent(const AgentId& agent, const AttemptKey& key) const {
  return impl_->IsCurrent(agent, key);
}
std::vector<Labels> SchedulerCore::Takers() const { return impl_->Takers(); }

std::optional<Explanation> SchedulerCore::Explain(const TaskId& task, MonoTime now,
                                                  WallTime wall) const {
  return impl_->Explain(task, {now, wall});
}
absl::Status SchedulerCore::CheckQuiet(const TaskId& task, MonoTime now, WallTime wall) const {
  return impl_->CheckQuiet(task, {now, wall});
}
std::vector<AgentView> SchedulerCore::Agents() const { return impl_->Agents(); }
std::size_t SchedulerCore::unfinished() const { return impl_->unfinished(); }
std::size_t SchedulerCore::queued() const { return impl_->queued(); }
bool SchedulerCore::loaded() const { return impl_->loaded(); }

namespace {

absl::Status InDoubt() {
  return MakeError(absl::StatusCode::kUnavailable, "COMMIT_IN_DOUBT",
                   "the database did not say whether the change was stored",
                   "Ask again; a submit with the same request id gives the same run.");
}

absl::Status NotStored(const absl::Status& why) {
  return MakeError(absl::StatusCode::kUnavailable, "NOT_STORED",
                   "nothing was changed: " + std::string(why.message()),
                   "Look at the controller's database (disk space, load), then ask again.");
}

}  // namespace

void SchedulerCore::Impl::Forget() {
  loaded_ = false;
  tasks_.clear();
  resolved_.clear();
  owed_.clear();
  dependents_.clear();
  groups_ = ConcurrencyGroups();
  roster_ = AgentRoster();
  queue_ = TaskQueue();
  due_ = Deadlines<DueKey>();
  open_ = Batch();
  committing_.reset();
  std::erase_if(agents_, [this](const auto& agent) {
    return !agent.second.session || gone_.contains(agent.first);
  });
  for (auto& [id, agent] : agents_) {
    agent.held.clear();
    agent.fresh = false;
    agent.refused = false;
  }
  availability_.clear();
  retiring_.clear();
}

void SchedulerCore::Impl::Load(store::Unfinished unfinished, Moment at) {
  Forget();
  loaded_ = true;
  last_entry_ = at.now;
  grace_end_ = at.now + options_.grace;
  for (const store::RosterAgent& agent : unfinished.agents) {
    roster_.Put(agent.id, {agent.name, agent.labels, agent.seen});
  }
  for (const auto& [id, agent] : agents_) roster_.Put(id, {agent.name, agent.labels, true});
  std::set<TaskId> ids;
  for (const domain::Task& task : unfinished.tasks) ids.insert(task.id);
  std::vector<TaskId> orphans;
  for (domain::Task& task : unfinished.tasks) {
    const TaskId id = task.id;
    const bool blocked = ids.contains(task.depends_on);
    if (task.state == TaskState::kWaiting && !blocked) orphans.push_back(id);
    const std::string& submitter = unfinished.submitters[task.run];
    Entry& entry = Admit(std::move(task), submitter);
    const TaskState state = entry.task.state;
    const bool held = state == TaskState::kOffered || state == TaskState::kRunning;
    if (held) agents_[entry.task.agent].held.insert(id);
    if (entry.group && (held || state == TaskState::kUnknown)) groups_.Hold(*entry.group, id);
    if (state == TaskState::kOffered) {
      due_.Set({Due::kTask, id.value()}, at.now + options_.grace);
    }
    if (state == TaskState::kOffered || state == TaskState::kQueued) {
      AwaitAgent(entry, at, options_.grace);
    }
    const Duration pause = std::min(entry.task.not_before - at.wall, options_.longest_retry_delay);
    if (state == TaskState::kQueued && pause > Duration::zero()) {
      entry.waits_for_retry = true;
      due_.Set({Due::kTask, id.value()}, at.now + pause);
    }
  }
  // Only now is it known who holds the groups.
  for (auto& [id, entry] : tasks_) Enqueue(entry);
  LoadPermits(std::move(unfinished.permits), at);
  LoadAvailability(unfinished.availability, at);
  for (domain::OpenResolution& open : unfinished.resolved) {
    const TaskId id = open.key.task;
    owed_.emplace(std::pair(open.agent, id), 0);
    resolved_.insert_or_assign(id, std::move(open));
  }
  for (const auto& [id, agent] : agents_) {
    due_.Set({Due::kLease, id.value()}, grace_end_);
    if (agent.session)
      Send(id, protocol::Desired{.answers = 0, .attempts = {}, .sync_after = Duration::zero()});
  }
  // Rows are changed together, so only a repair by hand leaves a task waiting for a finished one.
  for (const TaskId& id : orphans) {
    if (Entry* entry = Find(id)) {
      Finish(*entry, "scheduler", TaskState::kSkipped, std::nullopt, std::nullopt, at);
    }
  }
  SettleDoubted(unfinished.agents, at);
  RetireIdle(at);
}

void SchedulerCore::Impl::Apply(const Event& event, Moment at) {
  SLIPWAY_CHECK(loaded_ && !committing_);
  if (at.now - last_entry_ > options_.standstill) ForgiveStandstill(at);
  last_entry_ = at.now;
  std::visit([&](const auto& what) { On(what, at); }, event);
  Dispatch(at);
  RetireIdle(at);
}

bool SchedulerCore::Impl::HasWork() const { return loaded_ && !open_.empty(); }

std::vector<store::Change> SchedulerCore::Impl::TakeChanges() {
  SLIPWAY_CHECK(!committing_);
  committing_ = std::exchange(open_, Batch());
  return committing_->changes;
}

Effects SchedulerCore::Impl::OnCommitted(const std::vector<absl::Status>& statuses, Moment at) {
  SLIPWAY_CHECK(committing_ && statuses.size() == committing_->changes.size());
  Batch batch = *std::exchange(committing_, std::nullopt);
  bool differs = false;
  for (std::size_t i = 0; i < statuses.size(); ++i) {
    const store::Change& change = batch.changes[i];
    const bool alone = std::holds_alternative<store::CreateRun>(change) ||
                       std::holds_alternative<store::RecordStep>(change) ||
                       std::holds_alternative<store::SetAvailability>(change);
    differs |= !statuses[i].ok() && !alone;
  }
  if (differs) {
    for (Reply& reply : batch.effects.replies) reply.status = InDoubt();
    batch.effects.sends.clear();
    batch.effects.taken.clear();
    batch.effects.reload = true;
    Forget();
  }
  for (PendingSubmit& submit : batch.submits) {
    const absl::Status& status = statuses[submit.change];
    RunId run = submit.run;
    if (absl::IsAlreadyExists(status)) run = RunId(std::string(status.message()));
    batch.effects.replies.push_back({submit.ticket, status, std::move(run)});
    if (!status.ok()) continue;
    for (domain::Task& task : submit.tasks) {
      batch.effects.changed.push_back(task.id);
      // A build whose product was at hand has ended before it began.
      if (differs || domain::IsTerminal(task.state)) continue;
      Entry& entry = Admit(std::move(task), submit.submitter);
      if (entry.task.state != TaskState::kQueued) continue;
      AwaitAgent(entry, at);
      Enqueue(entry);
    }
  }
  GrantWishes(batch, statuses, differs, at);
  if (!differs) {
    Dispatch(at);
    RetireIdle(at);
  }
  return std::move(batch.effects);
}

Effects SchedulerCore::Impl::OnNotStored(const absl::Status& why) {
  return Abandon(NotStored(why), /*in_doubt=*/false);
}

Effects SchedulerCore::Impl::OnInDoubt() { return Abandon(InDoubt(), /*in_doubt=*/true); }

Effects SchedulerCore::Impl::Abandon(const absl::Status& answer, bool in_doubt) {
  SLIPWAY_CHECK(committing_.has_value());
  Batch batch = *std::exchange(committing_, std::nullopt);
  Effects effects;
  effects.reload = true;
  effects.replies = std::move(batch.effects.replies);
  // From rows that were read: true whatever became of this batch.
  effects.dismissed = std::move(batch.effects.dismissed);
  for (Reply& reply : effects.replies) reply.status = answer;
  for (const PendingSubmit& submit : batch.submits) {
    effects.replies.push_back({submit.ticket, answer, RunId()});
  }
  for (const PendingAvailability& wish : batch.wishes) {
    if (wish.ticket) effects.replies.push_back({*wish.ticket, answer, RunId()});
    if (!in_doubt || !domain::IsGone(wish.availability.mode)) continue;
    doubted_.insert_or_assign(wish.agent, wish.availability);
    effects.disconnected.push_back(wish.agent);
    if (const auto it = agents_.find(wish.agent); it != agents_.end()) it->second.session.reset();
  }
  Forget();
  return effects;
}

SchedulerCore::Impl::Entry& SchedulerCore::Impl::Admit(domain::Task task,
                                                       const std::string& submitter) {
  const TaskId id = task.id;
  task.result.reset();
  if (const TaskId awaited = Awaited(task); !awaited.value().empty()) {
    dependents_[awaited].insert(id);
  }
  Entry& entry = tasks_[id];
  entry.task = std::move(task);
  entry.submitter = submitter;
  entry.order = ++last_order_;
  entry.group = domain::GroupOf(entry.task);
  if (entry.group) groups_.Enter(*entry.group, entry.order, id);
  return entry;
}

void SchedulerCore::Impl::On(const Submit& event, Moment at) {
  if (tasks_.size() + event.tasks.size() > options_.max_unfinished) {
    open_.effects.replies.push_back(
        {event.ticket,
         MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                   "too many tasks are waiting to be done", "Submit again when some have ended."),
         RunId()});
    return;
  }
  open_.submits.push_back(
      {open_.changes.size(), event.ticket, event.run.id, event.run.submitted_by, event.tasks});
  open_.changes.push_back(
      store::CreateRun{{event.run.submitted_by, at.wall, event.basis.from, event.basis.authorities},
                       event.run,
                       event.tasks,
                       event.basis.targets});
}

void SchedulerCore::Impl::On(const Cancel& event, Moment at) {
  Entry* entry = Find(event.task);
  Reply reply{event.ticket, absl::OkStatus(), RunId()};
  if (entry == nullptr) {
    reply.status = absl::NotFoundError("no unfinished task has this id");
    open_.effects.replies.push_back(std::move(reply));
    return;
  }
  reply.run = entry->task.run;
  reply.status = domain::CheckCancel(entry->task);
  const bool refused = !reply.status.ok();
  open_.effects.replies.push_back(std::move(reply));
  if (refused) return;
  if (!entry->task.cancel_requested) {
    entry->task.cancel_requested = true;
    open_.changes.push_back(store::RequestCancel{
        {event.actor, at.wall, event.basis.from, event.basis.authorities}, event.task, event.why});
    Changed(event.task);
  }
  if (entry->task.state == TaskState::kRunning) {
    Push(entry->task.agent, KeyOf(*entry), entry->task.kind, protocol::Want::kCancel);
    return;
  }
  // Nothing was started: an offered task is started only once it is stored as running.
  if (entry->task.state == TaskState::kOffered) {
    Push(entry->task.agent, KeyOf(*entry), entry->task.kind, protocol::Want::kForget);
  }
  FinishWith(*entry,
             {.cause = {event.actor, at.wall, event.basis.from, event.basis.authorities},
              .key = KeyOf(*entry),
              .state = TaskState::kCanceled,
              .result = std::nullopt,
              .release = std::nullopt},
             at);
}

void SchedulerCore::Impl::On(const Tick&, Moment at) {
  while (auto key = due_.PopDue(at.now)) {
    const auto& [what, id] = *key;
    if (what == Due::kLease) {
      ExpireLease(AgentId(id), at);
    } else if (what == Due::kRefusal) {
      agents_.at(AgentId(id)).refused = false;
      UpdateRoom(AgentId(id));
    } else if (what == Due::kAvailability) {
      availability_.erase(AgentId(id));
      UpdateRoom(AgentId(id));
    } else if (what == Due::kRetirement) {
      // RetireIdle looks at it after every event.
    } else if (what == Due::kWait) {
      Entry* entry = Find(TaskId(id));
      // An offer that is under way may still be taken.
      if (entry != nullptr && entry->task.state == TaskState::kQueued) EndWait(*entry, at);
    } else if (what == Due::kNobody) {
      Entry* entry = Find(TaskId(id));
      if (entry != nullptr && entry->task.state == TaskState::kQueued) GiveUp(*entry, at);
    } else {
      EndOfOfferOrPause(TaskId(id), at);
    }
  }
}

void SchedulerCore::Impl::EndOfOfferOrPause(const TaskId& id, Moment at) {
  Entry* entry = Find(id);
  if (entry == nullptr) return;
  if (entry->task.state == TaskState::kOffered) {
    Push(entry->task.agent, KeyOf(*entry), entry->task.kind, protocol::Want::kForget);
    Requeue(*entry, "the offer was not answered", Duration::zero(), at);
  } else {
    entry->waits_for_retry = false;
    Enqueue(*entry);
  }
}

}  // namespace slipway::scheduler
