#include <algorithm>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/status/status.h"
#include "tests/support/in_memory_state.h"

namespace slipway::testing {
namespace {

using domain::TaskState;
using protocol::TaskKind;

template <typename Id>
absl::Status Refused(const Id& id) {
  return absl::AbortedError(id.value() + ": the stored state does not fit the change any more");
}

absl::Status NotLeader() {
  return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_LEADER", "a newer term has begun");
}

// The texts in which the contract looks for what a database cannot store.
bool Storable(const std::vector<std::string_view>& texts) {
  return std::none_of(texts.begin(), texts.end(), [](std::string_view text) {
    return text.find('\0') != std::string_view::npos ||
           text.find_first_of("\xc0\xc1\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff") !=
               std::string_view::npos;
  });
}

bool Storable(const store::Change& change) {
  return std::visit(
      [](const auto& c) {
        using T = std::decay_t<decltype(c)>;
        if constexpr (std::is_same_v<T, store::CreateRun>) {
          return Storable({c.run.ref, c.run.version, c.run.description, c.run.request_id});
        } else if constexpr (std::is_same_v<T, store::RecordStep>) {
          return Storable({c.step.name, c.step.detail});
        } else if constexpr (std::is_same_v<T, store::FinishTask>) {
          return (!c.resolution || Storable({c.resolution->reason})) &&
                 (!c.result || !c.result->failure ||
                  Storable({c.result->failure->message, c.result->failure->tool_words}));
        } else if constexpr (std::is_same_v<T, store::SetAvailability>) {
          return Storable({c.availability.reason, c.availability.by});
        } else {
          return true;
        }
      },
      change);
}

// Applies one change, or refuses it and leaves everything as it was.
class Writer {
 public:
  Writer(Tables& tables, const Targets& targets) : tables_(tables), targets_(targets) {}

  absl::Status operator()(const store::CreateRun& c) {
    const auto request = std::make_pair(c.run.submitted_by, c.run.request_id);
    if (const auto it = tables_.requests.find(request); it != tables_.requests.end()) {
      return absl::AlreadyExistsError(it->second.value());
    }
    for (const domain::TargetUse& use : c.targets) {
      const auto there = targets_.find({use.platform, use.name});
      if (there == targets_.end() || there->second.environment != use.environment) {
        return MakeError(absl::StatusCode::kFailedPrecondition, "NO_TARGET", "it went meanwhile");
      }
    }
    if (tables_.runs.count(c.run.id) != 0) return absl::InvalidArgumentError("the run exists");
    for (const domain::Task& task : c.tasks) {
      if (tables_.tasks.count(task.id) != 0) return absl::InvalidArgumentError("the task exists");
    }
    tables_.requests[request] = c.run.id;
    tables_.runs[c.run.id] = c.run;
    for (const domain::Task& task : c.tasks) {
      tables_.tasks[task.id] = task;
      tables_.task_order.push_back(task.id);
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const store::OfferTask& c) {
    domain::Task* task = Find(c.key.task);
    if (task == nullptr || task->state != TaskState::kQueued || task->cancel_requested ||
        task->attempt.value() != c.key.attempt.value() - 1) {
      return Refused(c.key.task);
    }
    task->state = TaskState::kOffered;
    task->attempt = c.key.attempt;
    task->agent = c.agent;
    task->offer_deadline = c.deadline;
    return absl::OkStatus();
  }

  absl::Status operator()(const store::StartTask& c) {
    domain::Task* task = Current(c.key);
    if (task == nullptr || task->state != TaskState::kOffered) return Refused(c.key.task);
    task->state = TaskState::kRunning;
    task->started_at = c.cause.at;
    task->offer_deadline = {};
    ++task->starts;
    return absl::OkStatus();
  }

  absl::Status operator()(const store::RequeueTask& c) {
    domain::Task* task = Current(c.key);
    if (task == nullptr ||
        !(task->state == TaskState::kOffered ||
          (task->state == TaskState::kRunning && task->kind != TaskKind::kPublish))) {
      return Refused(c.key.task);
    }
    if (task->state == TaskState::kRunning) task->queued_since = c.cause.at;
    task->state = TaskState::kQueued;
    task->started_at = {};
    task->offer_deadline = {};
    task->not_before = c.not_before;
    return absl::OkStatus();
  }

  absl::Status operator()(const store::ReleaseTask& c) {
    domain::Task* task = Find(c.task);
    if (task == nullptr || task->state != TaskState::kWaiting) return Refused(c.task);
    task->state = TaskState::kQueued;
    task->queued_since = c.cause.at;
    return absl::OkStatus();
  }

  absl::Status operator()(const store::RequestCancel& c) {
    domain::Task* task = Find(c.task);
    if (task == nullptr || IsTerminal(task->state) || task->cancel_requested) {
      return Refused(c.task);
    }
    task->cancel_requested = true;
    return absl::OkStatus();
  }

  absl::Status operator()(const store::FinishTask& c) {
    domain::Task* task = Current(c.key);
    if (task == nullptr || !MayBecome(task->state, c.state, task->kind)) return Refused(c.key.task);
    if (c.release) {
      if (ReleaseExists(*c.release)) return absl::InvalidArgumentError("the release exists");
      tables_.releases.push_back(*c.release);
    }
    if (c.resolution) tables_.resolutions[c.key.task] = {c.key.attempt, *c.resolution};
    task->state = c.state;
    task->finished_at = c.cause.at;
    task->offer_deadline = {};
    if (c.result) task->result = WithoutImage(c.key.task, *c.result);
    return absl::OkStatus();
  }

  absl::Status operator()(const store::MarkUnknown& c) {
    domain::Task* task = Current(c.key);
    if (task == nullptr ||
        (task->state != TaskState::kRunning && task->state != TaskState::kUnknown) ||
        task->kind != TaskKind::kPublish) {
      return Refused(c.key.task);
    }
    task->state = TaskState::kUnknown;
    task->result = c.result;
    const auto permit = tables_.permits.find(c.key.task);
    if (permit != tables_.permits.end() && permit->second.key == c.key) {
      permit->second.reported |= c.reported;
      if (c.result.client_ended && permit->second.client_ended_at == WallTime()) {
        permit->second.client_ended_at = c.cause.at;
      }
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const store::RecordLateResult& c) {
    const auto it = tables_.resolutions.find(c.key.task);
    domain::Task* task = Find(c.key.task);
    if (it == tables_.resolutions.end() || it->second.first != c.key.attempt ||
        it->second.second.late_result || (c.release && task->state != TaskState::kFailed)) {
      return Refused(c.key.task);
    }
    if (c.release) {
      if (ReleaseExists(*c.release)) return absl::InvalidArgumentError("the release exists");
      tables_.releases.push_back(*c.release);
      task->state = TaskState::kSucceeded;
      task->result = WithoutImage(c.key.task, c.result);
    }
    it->second.second.late_result = c.result;
    if (auto& outcome = it->second.second.late_result->publish) outcome->code.image.clear();
    return absl::OkStatus();
  }

  absl::Status operator()(const store::GrantPermit& c) {
    const domain::Task* task = Current(c.permit.key);
    if (task == nullptr || task->state != TaskState::kRunning || task->cancel_requested ||
        task->kind != TaskKind::kPublish) {
      return Refused(c.permit.key.task);
    }
    for (const auto& [id, permit] : tables_.permits) {
      const domain::Task& other = tables_.tasks.at(id);
      if (id != task->id && !IsTerminal(other.state) && ShareGroup(other, *task)) {
        return Refused(c.permit.key.task);
      }
    }
    const auto [it, inserted] = tables_.permits.try_emplace(c.permit.key.task, c.permit);
    if (it->second.key != c.permit.key || it->second.manifest != c.permit.manifest) {
      return Refused(c.permit.key.task);
    }
    return absl::OkStatus();
  }

  absl::Status operator()(const store::RecordStep& c) {
    if (Current(c.step.key) == nullptr) return Refused(c.step.key.task);
    const auto [it, inserted] =
        tables_.steps.try_emplace({c.step.key.task, c.step.key.attempt, c.step.number}, c.step);
    domain::Step& step = it->second;
    if (inserted || step.state != protocol::StepState::kStarted) return absl::OkStatus();
    const WallTime started_at = step.started_at == WallTime() ? c.step.started_at : step.started_at;
    step = c.step;
    step.started_at = started_at;
    return absl::OkStatus();
  }

  absl::Status operator()(const store::SetAvailability& c) {
    const auto it = tables_.agents.find(c.agent);
    if (it == tables_.agents.end() ||
        !domain::MayBecome(it->second.availability.mode, c.availability.mode)) {
      return Refused(c.agent);
    }
    it->second.availability = c.availability;
    return absl::OkStatus();
  }

 private:
  // Keeps the image apart.
  protocol::AttemptResult WithoutImage(const TaskId& task, protocol::AttemptResult result) {
    if (result.publish && !result.publish->code.image.empty()) {
      tables_.images[task] = {result.publish->code.image_type,
                              std::exchange(result.publish->code.image, {})};
    }
    return result;
  }
  domain::Task* Find(const TaskId& id) {
    const auto it = tables_.tasks.find(id);
    return it == tables_.tasks.end() ? nullptr : &it->second;
  }
  bool ReleaseExists(const domain::Release& wanted) const {
    return std::any_of(tables_.releases.begin(), tables_.releases.end(), [&](const auto& release) {
      return release.id == wanted.id || release.publish_task == wanted.publish_task;
    });
  }
  domain::Task* Current(const AttemptKey& key) {
    domain::Task* task = Find(key.task);
    return task != nullptr && task->attempt == key.attempt ? task : nullptr;
  }

  Tables& tables_;
  const Targets& targets_;
};

std::string AuditLine(const store::Change& change) {
  return std::visit(
      [](const auto& c) -> std::string {
        using T = std::decay_t<decltype(c)>;
        if constexpr (std::is_same_v<T, store::RecordStep>) {
          return "";
        } else if constexpr (std::is_same_v<T, store::CreateRun>) {
          return c.run.id.value();
        } else if constexpr (std::is_same_v<T, store::GrantPermit>) {
          return c.permit.key.task.value();
        } else if constexpr (std::is_same_v<T, store::SetAvailability>) {
          return c.agent.value();
        } else if constexpr (requires { c.key; }) {
          return c.key.task.value();
        } else {
          return c.task.value();
        }
      },
      change);
}

}  // namespace

InMemoryDatabase::InMemoryDatabase() : state_(std::make_unique<State>()) {}
InMemoryDatabase::~InMemoryDatabase() = default;

std::vector<std::string> InMemoryDatabase::AuditedSubjects() const {
  const std::lock_guard lock(state_->mu);
  return state_->tables.audit;
}

void InMemoryDatabase::FailCommits(int calls, bool applied) {
  const std::lock_guard lock(state_->mu);
  state_->failing_commits = calls;
  state_->failing_commits_apply = applied;
}

absl::StatusOr<Epoch> InMemorySchedulerStore::BecomeLeader() {
  const std::lock_guard lock(state_.mu);
  epoch_ = ++state_.epoch;
  return Epoch(epoch_);
}

absl::StatusOr<std::vector<absl::Status>> InMemorySchedulerStore::Commit(
    const std::vector<store::Change>& changes) {
  const std::lock_guard lock(state_.mu);
  if (epoch_ == 0 || epoch_ != state_.epoch) return NotLeader();
  const bool fails = state_.failing_commits > 0;
  if (fails) --state_.failing_commits;
  if (fails && !state_.failing_commits_apply) {
    return absl::UnavailableError("the database went away before the commit");
  }
  Writer writer(state_.tables, state_.targets);
  std::vector<absl::Status> outcome;
  for (const store::Change& change : changes) {
    outcome.push_back(Storable(change) ? std::visit(writer, change)
                                       : absl::InvalidArgumentError("a text cannot be stored"));
    const std::string line = AuditLine(change);
    if (outcome.back().ok() && !line.empty()) state_.tables.audit.push_back(line);
  }
  if (fails) {
    return MakeError(absl::StatusCode::kUnknown, "COMMIT_IN_DOUBT", "the answer was lost");
  }
  return outcome;
}

absl::StatusOr<store::Unfinished> InMemorySchedulerStore::LoadUnfinished() {
  const std::lock_guard lock(state_.mu);
  if (epoch_ == 0 || epoch_ != state_.epoch) return NotLeader();
  store::Unfinished unfinished;
  for (const auto& [id, agent] : state_.tables.agents) {
    const domain::AgentMode mode = agent.availability.mode;
    if (domain::IsGone(mode)) continue;
    unfinished.agents.push_back({id, agent.name, agent.labels, agent.last_seen != WallTime()});
    if (mode != domain::AgentMode::kActive) unfinished.availability.emplace(id, agent.availability);
  }
  for (const TaskId& id : state_.tables.task_order) {
    const domain::Task& task = state_.tables.tasks.at(id);
    if (IsTerminal(task.state)) continue;
    unfinished.tasks.push_back(task);
    unfinished.submitters[task.run] = state_.tables.runs.at(task.run).submitted_by;
    const auto permit = state_.tables.permits.find(id);
    if (permit != state_.tables.permits.end()) unfinished.permits.push_back(permit->second);
  }
  for (const auto& [id, resolution] : state_.tables.resolutions) {
    const auto permit = state_.tables.permits.find(id);
    const bool reported = permit != state_.tables.permits.end() && permit->second.reported;
    const AgentId& agent = state_.tables.tasks.at(id).agent;
    const auto row = state_.tables.agents.find(agent);
    const bool gone =
        row != state_.tables.agents.end() && domain::IsGone(row->second.availability.mode);
    if (resolution.second.late_result || reported || gone) continue;
    unfinished.resolved.push_back(
        {.key = {id, resolution.first}, .agent = agent, .verdict = resolution.second.verdict});
  }
  return unfinished;
}

}  // namespace slipway::testing
