#include "tests/sim/sim_store.h"

#include <variant>

namespace slipway::sim {
namespace {

using domain::TaskKind;
using domain::TaskState;

absl::Status Refused(const char* why) { return absl::AbortedError(why); }

}  // namespace

const domain::Task* SimStore::Find(const TaskId& id) const {
  const auto it = tasks_.find(id);
  return it == tasks_.end() ? nullptr : &it->second;
}

bool SimStore::IsCurrent(const AttemptKey& key) const {
  const domain::Task* task = Find(key.task);
  return task != nullptr && task->attempt == key.attempt &&
         (task->state == TaskState::kOffered || task->state == TaskState::kRunning ||
          task->state == TaskState::kUnknown);
}

domain::Task* SimStore::At(const AttemptKey& key) {
  const auto it = tasks_.find(key.task);
  return it == tasks_.end() || it->second.attempt != key.attempt ? nullptr : &it->second;
}

absl::StatusOr<std::vector<absl::Status>> SimStore::Commit(
    Epoch epoch, const std::vector<store::Change>& changes) {
  if (epoch != epoch_) return absl::FailedPreconditionError("NOT_LEADER");
  std::vector<absl::Status> statuses;
  for (const store::Change& change : changes) {
    statuses.push_back(std::visit([&](const auto& what) { return Apply(what); }, change));
  }
  return statuses;
}

absl::StatusOr<store::Unfinished> SimStore::Load(Epoch epoch) const {
  if (epoch != epoch_) return absl::FailedPreconditionError("NOT_LEADER");
  store::Unfinished unfinished;
  for (const TaskId& id : order_) {
    const domain::Task& task = tasks_.at(id);
    if (!domain::IsTerminal(task.state)) unfinished.tasks.push_back(task);
  }
  for (const auto& [id, permit] : permits_) {
    if (!domain::IsTerminal(tasks_.at(id).state)) unfinished.permits.push_back(permit);
  }
  return unfinished;
}

absl::Status SimStore::Apply(const store::CreateRun& change) {
  const auto [it, inserted] =
      runs_.emplace(std::pair(change.run.submitted_by, change.run.request_id), change.run.id);
  if (!inserted) return absl::AlreadyExistsError(it->second.value());
  for (const domain::Task& task : change.tasks) {
    tasks_.emplace(task.id, task);
    order_.push_back(task.id);
  }
  return absl::OkStatus();
}

absl::Status SimStore::Apply(const store::OfferTask& change) {
  domain::Task* task = At({change.key.task, Attempt(change.key.attempt.value() - 1)});
  if (task == nullptr || task->state != TaskState::kQueued || task->cancel_requested) {
    return Refused("offer");
  }
  task->state = TaskState::kOffered;
  task->attempt = change.key.attempt;
  task->agent = change.agent;
  task->offer_deadline = change.deadline;
  return absl::OkStatus();
}

absl::Status SimStore::Apply(const store::StartTask& change) {
  domain::Task* task = At(change.key);
  if (task == nullptr || task->state != TaskState::kOffered) return Refused("start");
  task->state = TaskState::kRunning;
  ++task->starts;
  started_.insert(change.key);
  return absl::OkStatus();
}

absl::Status SimStore::Apply(const store::RequeueTask& change) {
  domain::Task* task = At(change.key);
  const bool running_publish =
      task != nullptr && task->state == TaskState::kRunning && task->kind == TaskKind::kPublish;
  if (task == nullptr || running_publish ||
      (task->state != TaskState::kOffered && task->state != TaskState::kRunning)) {
    return Refused("requeue");
  }
  if (task->state == TaskState::kRunning) task->queued_since = change.cause.at;
  task->state = TaskState::kQueued;
  task->not_before = change.not_before;
  return absl::OkStatus();
}

absl::Status SimStore::Apply(const store::ReleaseTask& change) {
  const auto it = tasks_.find(change.task);
  if (it == tasks_.end() || it->second.state != TaskState::kWaiting) return Refused("release");
  it->second.state = TaskState::kQueued;
  it->second.queued_since = change.cause.at;
  return absl::OkStatus();
}

absl::Status SimStore::Apply(const store::RequestCancel& change) {
  const auto it = tasks_.find(change.task);
  if (it == tasks_.end() || domain::IsTerminal(it->second.state) || it->second.cancel_requested) {
    return Refused("cancel");
  }
  it->second.cancel_requested = true;
  return absl::OkStatus();
}

absl::Status SimStore::Apply(const store::FinishTask& change) {
  domain::Task* task = At(change.key);
  if (task == nullptr || domain::IsTerminal(task->state) ||
      !domain::MayBecome(task->state, change.state, task->kind)) {
    return Refused("finish");
  }
  task->state = change.state;
  task->result = change.result;
  if (change.result) stored_results_.emplace_back(change.key, task->agent);
  if (change.release) releases_.emplace(change.key.task, *change.release);
  return absl::OkStatus();
}

absl::Status SimStore::Apply(const store::MarkUnknown& change) {
  domain::Task* task = At(change.key);
  const bool open =
      task != nullptr && (task->state == TaskState::kRunning || task->state == TaskState::kUnknown);
  if (!open || task->kind != TaskKind::kPublish) return Refused("unknown");
  task->state = TaskState::kUnknown;
  task->result = change.result;
  stored_results_.emplace_back(change.key, task->agent);
  return absl::OkStatus();
}

absl::Status SimStore::Apply(const store::GrantPermit& change) {
  const domain::PublishPermit& permit = change.permit;
  domain::Task* task = At(permit.key);
  if (task == nullptr || task->state != TaskState::kRunning || task->cancel_requested ||
      task->kind != TaskKind::kPublish) {
    return Refused("permit");
  }
  for (const auto& [id, held] : permits_) {
    const domain::Task& other = tasks_.at(id);
    if (id != task->id && !domain::IsTerminal(other.state) &&
        domain::GroupOf(other) == domain::GroupOf(*task)) {
      return Refused("permit");
    }
  }
  const auto [it, inserted] = permits_.emplace(permit.key.task, permit);
  if (!inserted && (it->second.key != permit.key || it->second.manifest != permit.manifest)) {
    return Refused("permit");
  }
  return absl::OkStatus();
}

// Nobody resolves anything in the simulation.
absl::Status SimStore::Apply(const store::RecordLateResult&) { return Refused("late result"); }

absl::Status SimStore::Apply(const store::RecordStep& change) {
  return At(change.step.key) == nullptr ? Refused("step") : absl::OkStatus();
}

}  // namespace slipway::sim
