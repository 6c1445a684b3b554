#include "tests/sim/sim_store.h"

#include <algorithm>
#include <iterator>
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

int SimStore::Starts(const TaskId& task) const {
  const auto begin = started_.lower_bound({task, Attempt()});
  const auto end =
      std::find_if(begin, started_.end(), [&](const AttemptKey& key) { return key.task != task; });
  return static_cast<int>(std::distance(begin, end));
}

absl::StatusOr<Epoch> SimStore::BecomeLeader() {
  if (!open_.empty() && !planted_.commit_not_fenced) {
    return absl::UnavailableError("a transaction holds the fence");
  }
  return epoch_ = Epoch(epoch_.value() + 1);
}

absl::StatusOr<SimStore::Transaction> SimStore::Begin(Epoch epoch) {
  if (epoch != epoch_) return absl::FailedPreconditionError("NOT_LEADER");
  open_.emplace(++last_transaction_, epoch);
  return last_transaction_;
}

absl::StatusOr<std::vector<absl::Status>> SimStore::Commit(
    Transaction transaction, const std::vector<store::Change>& changes) {
  const auto it = open_.find(transaction);
  if (it == open_.end()) return absl::UnavailableError("the transaction was ended");
  if (it->second != epoch_) fence_broken_ = true;
  open_.erase(it);
  std::vector<absl::Status> statuses;
  statuses.reserve(changes.size());
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
    if (domain::IsTerminal(task.state)) continue;
    unfinished.tasks.push_back(task);
    if (planted_.wait_not_begun_anew && task.queued_since != WallTime()) {
      unfinished.tasks.back().queued_since = task.created_at;
    }
    if (planted_.permit_despite_cancel && task.state == TaskState::kRunning &&
        task.kind == TaskKind::kPublish) {
      unfinished.tasks.back().cancel_requested = false;
    }
  }
  for (const auto& [id, permit] : permits_) {
    if (!domain::IsTerminal(tasks_.at(id).state)) unfinished.permits.push_back(permit);
  }
  for (const auto& [id, resolution] : resolutions_) {
    const auto permit = permits_.find(id);
    const bool reported = permit != permits_.end() && permit->second.reported;
    if (resolution.late_result || reported) continue;
    const domain::Task& task = tasks_.at(id);
    unfinished.resolved.push_back({{id, task.attempt}, task.agent, resolution.verdict});
  }
  for (const auto& [agent, availability] : availability_) {
    if (!planted_.orders_lost_at_reload && availability.mode != domain::AgentMode::kActive &&
        !domain::IsGone(availability.mode)) {
      unfinished.availability.emplace(agent, availability);
    }
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
  task->started_at = change.cause.at;
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
  task->started_at = WallTime();
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
  if (change.result && !change.resolution) stored_results_.emplace_back(change.key, task->agent);
  if (change.release) releases_.emplace(change.key.task, *change.release);
  if (change.resolution) resolutions_.emplace(change.key.task, *change.resolution);
  return absl::OkStatus();
}

absl::Status SimStore::Apply(const store::MarkUnknown& change) {
  domain::Task* task = At(change.key);
  const bool open =
      task != nullptr && (task->state == TaskState::kRunning || task->state == TaskState::kUnknown);
  if (!open || task->kind != TaskKind::kPublish) return Refused("unknown");
  task->state = TaskState::kUnknown;
  task->result = change.result;
  if (const auto permit = permits_.find(change.key.task); permit != permits_.end()) {
    permit->second.reported |= change.reported;
    if (change.result.client_ended && permit->second.client_ended_at == WallTime()) {
      permit->second.client_ended_at = change.cause.at;
    }
  }
  stored_results_.emplace_back(change.key, task->agent);
  return absl::OkStatus();
}

absl::Status SimStore::Apply(const store::GrantPermit& change) {
  const domain::PublishPermit& permit = change.permit;
  domain::Task* task = At(permit.key);
  if (task == nullptr || task->state != TaskState::kRunning || task->kind != TaskKind::kPublish ||
      (task->cancel_requested && !planted_.permit_despite_cancel)) {
    return Refused("permit");
  }
  for (const auto& [id, held] : permits_) {
    const domain::Task& other = tasks_.at(id);
    if (id != task->id && !domain::IsTerminal(other.state) && domain::ShareGroup(other, *task)) {
      return Refused("permit");
    }
  }
  const auto [it, inserted] = permits_.emplace(permit.key.task, permit);
  if (!inserted && (it->second.key != permit.key || it->second.manifest != permit.manifest)) {
    return Refused("permit");
  }
  return absl::OkStatus();
}

absl::Status SimStore::Apply(const store::RecordLateResult& change) {
  const auto resolution = resolutions_.find(change.key.task);
  domain::Task* task = At(change.key);
  if (task == nullptr || resolution == resolutions_.end() || resolution->second.late_result ||
      (change.release && task->state != TaskState::kFailed)) {
    return Refused("late result");
  }
  resolution->second.late_result = change.result;
  if (!change.release) return absl::OkStatus();
  releases_.emplace(change.key.task, *change.release);
  task->state = TaskState::kSucceeded;
  task->result = change.result;
  return absl::OkStatus();
}

absl::Status SimStore::Apply(const store::RecordStep& change) {
  return At(change.step.key) == nullptr ? Refused("step") : absl::OkStatus();
}

absl::Status SimStore::Apply(const store::SetAvailability& change) {
  if (!domain::MayBecome(ModeOf(change.agent), change.availability.mode)) return Refused("mode");
  availability_[change.agent] = change.availability;
  return absl::OkStatus();
}

}  // namespace slipway::sim
