#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "controller/scheduler/scheduler_impl.h"

namespace slipway::scheduler {

using domain::TaskKind;
using domain::TaskState;
using protocol::FailureClass;

namespace {

protocol::AttemptResult FailedResult(FailureClass klass, std::string reason, std::string message,
                                     std::string remedy, std::string remedy_zh, Moment at) {
  protocol::AttemptResult result;
  result.failure = protocol::Failure{.klass = klass,
                                     .reason = std::move(reason),
                                     .message = std::move(message),
                                     .tool_words = {},
                                     .remedy = std::move(remedy),
                                     .remedy_zh = std::move(remedy_zh)};
  result.finished_at = at.wall;
  return result;
}

}  // namespace

SchedulerCore::Impl::Entry* SchedulerCore::Impl::Find(const TaskId& task) {
  const auto it = tasks_.find(task);
  return it == tasks_.end() ? nullptr : &it->second;
}

bool SchedulerCore::Impl::Listening(const Origin& from) const {
  const auto it = agents_.find(from.agent);
  return it != agents_.end() && it->second.session == from.session;
}

void SchedulerCore::Impl::Send(const AgentId& agent, decltype(Outgoing::body) body) {
  const auto it = agents_.find(agent);
  if (it == agents_.end() || !it->second.session) return;
  open_.effects.sends.push_back({agent, *it->second.session, std::move(body)});
}

void SchedulerCore::Impl::Push(const AgentId& agent, const AttemptKey& key, TaskKind kind,
                               protocol::Want want) {
  protocol::Desired desired{.answers = 0, .attempts = {}, .sync_after = Duration::max()};
  desired.attempts.push_back({.key = key, .kind = kind, .want = want, .spec = {}});
  Send(agent, std::move(desired));
}

void SchedulerCore::Impl::Changed(const TaskId& task) {
  if (open_.changed.insert(task).second) open_.effects.changed.push_back(task);
}

void SchedulerCore::Impl::UpdateRoom(const AgentId& id) {
  const auto it = agents_.find(id);
  if (it == agents_.end()) return;
  const Agent& agent = it->second;
  const bool open = agent.session && agent.fresh && !agent.draining && !agent.refused &&
                    agent.takes_work && !availability_.contains(id);
  const std::size_t held = agent.held.size();
  queue_.SetRoom(id, agent.labels,
                 open && agent.slots > held ? static_cast<std::uint32_t>(agent.slots - held) : 0);
  if (agent.session || !agent.held.empty()) return;
  due_.Clear({Due::kLease, id.value()});
  due_.Clear({Due::kRefusal, id.value()});
  agents_.erase(it);
}

void SchedulerCore::Impl::Enqueue(Entry& entry) {
  const domain::Task& task = entry.task;
  if (task.state != TaskState::kQueued || entry.waits_for_retry || queue_.Contains(task.id)) return;
  // A publish is never offered before its build is over, whatever its row says.
  if (tasks_.contains(Awaited(task))) return;
  if (entry.group && groups_.Turn(*entry.group) != task.id) return;
  queue_.Add(
      {task.id, task.application, entry.submitter, task.requirements, task.priority, entry.order});
}

void SchedulerCore::Impl::NextOfGroup(const domain::Group& group) {
  const auto next = groups_.Turn(group);
  if (next) Enqueue(tasks_.at(*next));
}

void SchedulerCore::Impl::AwaitAgent(Entry& entry, Moment at, Duration at_least) {
  const domain::Task& task = entry.task;
  if (!roster_.Want(task.requirements, task.id)) {
    due_.Set({Due::kNobody, task.id.value()}, at.now + at_least + options_.no_agent_grace);
  }
  if (task.queue_timeout <= Duration::zero()) return;
  const WallTime since = task.queued_since == WallTime() ? at.wall : task.queued_since;
  // A clock that was set back does not make the wait longer.
  const Duration left = std::min(since + task.queue_timeout - at.wall, task.queue_timeout);
  entry.wait_end = at.now + std::max(left, at_least);
  due_.Set({Due::kWait, task.id.value()}, *entry.wait_end);
}

void SchedulerCore::Impl::EndWait(Entry& entry, Moment at) {
  Finish(
      entry, "scheduler", TaskState::kFailed,
      FailedResult(FailureClass::kTimeout, "QUEUE_TIMEOUT",
                   "It waited for an agent longer than its queue timeout allows.",
                   "Look at `slipway agents` whether the agents that it needs are online and not "
                   "overloaded, then submit again, or give it more time with --queue-timeout.",
                   "请用 `slipway agents` 查看所需的构建机是否在线、是否过载，然后重新提交，"
                   "或用 --queue-timeout 延长等待时间。",
                   at),
      std::nullopt, at);
}

void SchedulerCore::Impl::StopAwaiting(Entry& entry) {
  roster_.Unwant(entry.task.requirements, entry.task.id);
  entry.wait_end.reset();
  due_.Clear({Due::kWait, entry.task.id.value()});
  due_.Clear({Due::kNobody, entry.task.id.value()});
}

void SchedulerCore::Impl::Reconsider(const AgentRoster::Shift& shift, Moment at) {
  for (const TaskId& task : shift.possible) due_.Clear({Due::kNobody, task.value()});
  for (const TaskId& task : shift.impossible) {
    due_.Set({Due::kNobody, task.value()}, at.now + options_.no_agent_grace);
  }
}

void SchedulerCore::Impl::GiveUp(Entry& entry, Moment at) {
  std::string wanted;
  for (const auto& [key, value] : entry.task.requirements) {
    wanted += (wanted.empty() ? "" : ", ") + key + "=" + value;
  }
  std::string nearest;
  for (const std::string& agent : roster_.Nearest(entry.task.requirements, 3)) {
    nearest += (nearest.empty() ? "" : "; ") + agent;
  }
  const bool none = nearest.empty();
  Finish(
      entry, "scheduler", TaskState::kFailed,
      FailedResult(
          FailureClass::kInfrastructure, "NO_AGENT_MATCHES",
          none ? "No agent has joined this farm."
               : "No agent of this farm has the labels " + wanted + ".",
          none ? "Join one: `slipway agents token`, then `slipway-agent join`."
               : "Give an agent these labels, or require less. Nearest: " + nearest + ".",
          none ? "请先加入一个代理：`slipway agents token`，然后 `slipway-agent join`。"
               : "请为代理配置标签 " + wanted + "，或减少所需标签。最接近的代理：" + nearest + "。",
          at),
      std::nullopt, at);
}

void SchedulerCore::Impl::LeaveGroup(const Entry& entry) {
  if (entry.group) groups_.Leave(*entry.group, entry.order, entry.task.id);
}

void SchedulerCore::Impl::LeaveAgent(Entry& entry) {
  due_.Clear({Due::kTask, entry.task.id.value()});
  entry.absent = 0;
  const auto it = agents_.find(entry.task.agent);
  if (it == agents_.end() || it->second.held.erase(entry.task.id) == 0) return;
  UpdateRoom(entry.task.agent);
}

void SchedulerCore::Impl::Dispatch(Moment at) {
  while (const auto claim = queue_.Best()) {
    Entry& entry = tasks_.at(claim->task);
    domain::Task& task = entry.task;
    queue_.Remove(task.id);
    queue_.Served(task.application, entry.submitter, claim->agent);
    if (entry.group) groups_.Hold(*entry.group, task.id);
    task.state = TaskState::kOffered;
    task.attempt = Attempt(task.attempt.value() + 1);
    task.agent = claim->agent;
    agents_.at(claim->agent).held.insert(task.id);
    UpdateRoom(claim->agent);
    due_.Set({Due::kTask, task.id.value()}, at.now + options_.offer_timeout);
    open_.changes.push_back(store::OfferTask{SchedulerCause(at), KeyOf(entry), claim->agent,
                                             at.wall + options_.offer_timeout});
    Changed(task.id);
    Push(claim->agent, KeyOf(entry), task.kind, protocol::Want::kOffer);
  }
}

void SchedulerCore::Impl::Start(Entry& entry, Moment at) {
  entry.task.state = TaskState::kRunning;
  entry.task.started_at = at.wall;
  entry.started = at.now;
  entry.absent = 0;
  ++entry.task.starts;
  StopAwaiting(entry);
  due_.Clear({Due::kTask, entry.task.id.value()});
  open_.changes.push_back(
      store::StartTask{{"agent:" + entry.task.agent.value(), at.wall}, KeyOf(entry)});
  Changed(entry.task.id);
}

void SchedulerCore::Impl::Requeue(Entry& entry, const std::string& why, Duration delay, Moment at) {
  const bool ran = entry.task.state == TaskState::kRunning;
  SLIPWAY_CHECK(!ran || entry.task.kind != TaskKind::kPublish);
  const bool pauses = delay > Duration::zero();
  entry.task.not_before = pauses ? at.wall + delay : WallTime();
  open_.changes.push_back(
      store::RequeueTask{SchedulerCause(at), KeyOf(entry), why, entry.task.not_before});
  Changed(entry.task.id);
  entry.task.state = TaskState::kQueued;
  LeaveAgent(entry);
  if (entry.group) groups_.LetGo(*entry.group, entry.task.id);
  if (ran) {
    entry.task.queued_since = at.wall;
    AwaitAgent(entry, at);
  } else if (entry.wait_end && *entry.wait_end <= at.now) {
    EndWait(entry, at);
    return;
  }
  entry.waits_for_retry = pauses;
  if (pauses) due_.Set({Due::kTask, entry.task.id.value()}, at.now + delay);
  Enqueue(entry);
}

void SchedulerCore::Impl::Finish(Entry& entry, const std::string& actor, TaskState state,
                                 std::optional<protocol::AttemptResult> result,
                                 std::optional<domain::Release> release, Moment at) {
  FinishWith(entry, {{actor, at.wall}, KeyOf(entry), state, std::move(result), std::move(release)},
             at);
}

void SchedulerCore::Impl::FinishWith(Entry& entry, store::FinishTask change, Moment at) {
  const TaskState state = change.state;
  const std::vector<domain::Authority> rests_on = change.cause.authorities;
  open_.changes.push_back(std::move(change));
  Changed(entry.task.id);
  queue_.Remove(entry.task.id);
  StopAwaiting(entry);
  LeaveAgent(entry);
  LeaveGroup(entry);
  permit_times_.erase(entry.task.id);
  if (!resolved_.contains(entry.task.id)) owed_.erase({entry.task.agent, entry.task.id});
  if (const auto it = dependents_.find(Awaited(entry.task)); it != dependents_.end()) {
    it->second.erase(entry.task.id);
    if (it->second.empty()) dependents_.erase(it);
  }
  const Entry gone = std::move(entry);
  tasks_.erase(gone.task.id);
  SettleDependents(gone, state == TaskState::kSucceeded && !gone.task.cancel_requested, rests_on,
                   at);
  if (gone.group) NextOfGroup(*gone.group);
}

void SchedulerCore::Impl::SettleDependents(const Entry& entry, bool succeeded,
                                           const std::vector<domain::Authority>& rests_on,
                                           Moment at) {
  store::Cause cause = SchedulerCause(at);
  cause.authorities = rests_on;
  const auto node = dependents_.extract(entry.task.id);
  if (node.empty()) return;
  for (const TaskId& id : node.mapped()) {
    Entry* dependent = Find(id);
    if (dependent == nullptr) continue;
    const bool waiting = dependent->task.state == TaskState::kWaiting;
    if (!succeeded) {
      FinishWith(*dependent,
                 {.cause = cause,
                  .key = KeyOf(*dependent),
                  .state = waiting ? TaskState::kSkipped : TaskState::kCanceled,
                  .result = std::nullopt,
                  .release = std::nullopt},
                 at);
      continue;
    }
    if (waiting) {
      open_.changes.push_back(store::ReleaseTask{cause, id});
      dependent->task.state = TaskState::kQueued;
      dependent->task.queued_since = at.wall;
      AwaitAgent(*dependent, at);
      Changed(id);
    }
    Enqueue(*dependent);
  }
}

void SchedulerCore::Impl::MarkUnknown(Entry& entry, protocol::AttemptResult result, bool reported,
                                      Moment at) {
  if (entry.permit) {
    entry.permit->reported |= reported;
    if (result.client_ended && entry.permit->client_ended_at == WallTime()) {
      entry.permit->client_ended_at = at.wall;
    }
    if (result.client_ended) {
      MonoTime& ended = permit_times_.at(entry.task.id).client_ended;
      ended = std::min(ended, at.now);
    }
  }
  if (reported) {
    owed_.erase({entry.task.agent, entry.task.id});
  } else {
    owed_.emplace(std::pair(entry.task.agent, entry.task.id), 0);
  }
  open_.changes.push_back(
      store::MarkUnknown{SchedulerCause(at), KeyOf(entry), std::move(result), reported});
  Changed(entry.task.id);
  entry.task.state = TaskState::kUnknown;
  LeaveAgent(entry);
}

void SchedulerCore::Impl::Lose(Entry& entry, const std::string& why, Moment at) {
  const bool publish = entry.task.kind == TaskKind::kPublish;
  const std::string& agent = entry.task.agent.value();
  const auto pause =
      PauseBeforeRetry(entry.task.kind, FailureClass::kAgentLost, entry.task.starts, Limits());
  if (entry.task.state == TaskState::kOffered) {
    Requeue(entry, why, Duration::zero(), at);
    return;
  }
  // Of a publish that may have happened, the log is taken with its late word.
  const bool unknown = publish && entry.permit;
  if (!unknown) open_.effects.taken.push_back({KeyOf(entry), false, 0});
  if (unknown) {
    MarkUnknown(entry,
                FailedResult(FailureClass::kPublishUnknown, "PUBLISH_UNKNOWN",
                             "Agent " + agent + " had leave to publish and was lost: " + why + ".",
                             "Look at the platform whether the version is there, then tell the "
                             "farm: slipway releases resolve.",
                             "请先在平台上确认该版本是否已发布，再用 slipway releases resolve "
                             "告知农场。",
                             at),
                false, at);
  } else if (entry.task.cancel_requested) {
    Finish(
        entry, "scheduler", TaskState::kCanceled,
        FailedResult(FailureClass::kCanceled, "CANCELED",
                     "Canceled; agent " + agent + " was lost meanwhile: " + why + ".", "", "", at),
        std::nullopt, at);
  } else if (pause) {
    Requeue(entry, why, *pause, at);
  } else {
    Finish(
        entry, "scheduler", TaskState::kFailed,
        FailedResult(FailureClass::kAgentLost, "AGENT_LOST",
                     "Agent " + agent + " was lost: " + why + "." +
                         (publish ? " Nothing was published." : ""),
                     publish ? "Publish again." : "Look at the agent's machine, then submit again.",
                     publish ? "请重新发布。" : "请检查构建机，然后重新提交。", at),
        std::nullopt, at);
  }
}

}  // namespace slipway::scheduler
