#include "controller/scheduler/scheduler_core.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/check.h"
#include "common/status/status.h"
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
Effects SchedulerCore::OnInDoubt() { return impl_->OnInDoubt(); }
std::optional<MonoTime> SchedulerCore::NextDeadline() const { return impl_->NextDeadline(); }
bool SchedulerCore::IsCurrent(const AgentId& agent, const AttemptKey& key) const {
  return impl_->IsCurrent(agent, key);
}
std::string SchedulerCore::WhyWaiting(const TaskId& task) const { return impl_->WhyWaiting(task); }
std::vector<AgentView> SchedulerCore::Agents() const { return impl_->Agents(); }
std::size_t SchedulerCore::unfinished() const { return impl_->unfinished(); }
bool SchedulerCore::loaded() const { return impl_->loaded(); }

namespace {

absl::Status InDoubt() {
  return MakeError(absl::StatusCode::kUnavailable, "COMMIT_IN_DOUBT",
                   "the database did not say whether the change was stored",
                   "Ask again; a submit with the same request id gives the same run.");
}

}  // namespace

void SchedulerCore::Impl::Forget() {
  loaded_ = false;
  tasks_.clear();
  resolved_.clear();
  dependents_.clear();
  queue_ = TaskQueue();
  due_ = Deadlines<DueKey>();
  open_ = Batch();
  committing_.reset();
  std::erase_if(agents_, [](const auto& agent) { return !agent.second.session; });
  for (auto& [id, agent] : agents_) {
    agent.held.clear();
    agent.fresh = false;
    agent.paused = false;
  }
}

void SchedulerCore::Impl::Load(store::Unfinished unfinished, Moment at) {
  Forget();
  loaded_ = true;
  std::set<TaskId> ids;
  for (const domain::Task& task : unfinished.tasks) ids.insert(task.id);
  std::vector<TaskId> orphans;
  for (domain::Task& task : unfinished.tasks) {
    const TaskId id = task.id;
    const bool blocked = ids.contains(task.depends_on);
    if (task.state == TaskState::kWaiting && !blocked) orphans.push_back(id);
    Admit(std::move(task));
    Entry& entry = tasks_.at(id);
    entry.starts = static_cast<int>(
        std::min<std::int64_t>(entry.task.attempt.value(), options_.max_attempts - 1));
    if (entry.task.state != TaskState::kOffered && entry.task.state != TaskState::kRunning)
      continue;
    agents_[entry.task.agent].held.insert(id);
    if (entry.task.state == TaskState::kOffered) {
      due_.Set({Due::kTask, id.value()}, at.now + options_.grace);
    }
  }
  for (domain::PublishPermit& permit : unfinished.permits) {
    if (Entry* entry = Find(permit.key.task)) entry->permit = std::move(permit);
  }
  for (domain::OpenResolution& open : unfinished.resolved) {
    const TaskId id = open.key.task;
    resolved_.insert_or_assign(id, std::move(open));
  }
  for (const auto& [id, agent] : agents_) {
    due_.Set({Due::kLease, id.value()}, at.now + options_.grace);
    if (agent.session)
      Send(id, protocol::Desired{.answers = 0, .attempts = {}, .sync_after = Duration::zero()});
  }
  // Rows are changed together, so only a repair by hand leaves a task waiting for a finished one.
  for (const TaskId& id : orphans) {
    if (Entry* entry = Find(id)) {
      Finish(*entry, "scheduler", TaskState::kSkipped, std::nullopt, std::nullopt, at);
    }
  }
}

void SchedulerCore::Impl::Apply(const Event& event, Moment at) {
  SLIPWAY_CHECK(loaded_ && !committing_);
  std::visit([&](const auto& what) { On(what, at); }, event);
  Dispatch(at);
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
                       std::holds_alternative<store::RecordStep>(change);
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
      if (!differs) Admit(std::move(task));
    }
  }
  if (!differs) Dispatch(at);
  return std::move(batch.effects);
}

Effects SchedulerCore::Impl::OnInDoubt() {
  SLIPWAY_CHECK(committing_.has_value());
  Batch batch = *std::exchange(committing_, std::nullopt);
  Effects effects;
  effects.reload = true;
  effects.replies = std::move(batch.effects.replies);
  for (Reply& reply : effects.replies) reply.status = InDoubt();
  for (const PendingSubmit& submit : batch.submits) {
    effects.replies.push_back({submit.ticket, InDoubt(), RunId()});
  }
  Forget();
  return effects;
}

void SchedulerCore::Impl::Admit(domain::Task task) {
  const TaskId id = task.id;
  task.result.reset();
  if (const TaskId awaited = Awaited(task); !awaited.value().empty()) {
    dependents_[awaited].insert(id);
  }
  Entry& entry = tasks_[id];
  entry.task = std::move(task);
  entry.order = ++last_order_;
  if (entry.task.state == TaskState::kQueued) Enqueue(entry);
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
  open_.submits.push_back({open_.changes.size(), event.ticket, event.run.id, event.tasks});
  open_.changes.push_back(
      store::CreateRun{{event.run.submitted_by, at.wall}, event.run, event.tasks});
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
  if (entry->task.state == TaskState::kUnknown) {
    reply.status = MakeError(absl::StatusCode::kFailedPrecondition, "PUBLISH_UNKNOWN",
                             "the publish may have happened and cannot be taken back",
                             "Look at the platform which version it has, then say so: slipway "
                             "releases resolve.");
    open_.effects.replies.push_back(std::move(reply));
    return;
  }
  open_.effects.replies.push_back(std::move(reply));
  if (!entry->task.cancel_requested) {
    entry->task.cancel_requested = true;
    open_.changes.push_back(store::RequestCancel{{event.actor, at.wall}, event.task, event.why});
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
  Finish(*entry, event.actor, TaskState::kCanceled, std::nullopt, std::nullopt, at);
}

void SchedulerCore::Impl::On(const Tick&, Moment at) {
  if (const auto next = due_.Next(); next && at.now - *next > options_.standstill) {
    ForgiveStandstill(at);
  }
  while (auto key = due_.PopDue(at.now)) {
    const auto& [what, id] = *key;
    if (what == Due::kLease) {
      ExpireLease(AgentId(id), at);
    } else if (what == Due::kPause) {
      agents_.at(AgentId(id)).paused = false;
      UpdateRoom(AgentId(id));
    } else if (Entry* entry = Find(TaskId(id))) {
      if (entry->task.state == TaskState::kOffered) {
        Push(entry->task.agent, KeyOf(*entry), entry->task.kind, protocol::Want::kForget);
        Requeue(*entry, "the offer was not answered", Duration::zero(), at);
      } else {
        entry->waits_for_retry = false;
        Enqueue(*entry);
      }
    }
  }
}

}  // namespace slipway::scheduler
