#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "controller/scheduler/scheduler_impl.h"

namespace slipway::scheduler {

using domain::TaskKind;
using domain::TaskState;
using protocol::FailureClass;
using protocol::Want;

namespace {

// Inventories in a row that lack an attempt. One may have been on its way when the attempt was
// accepted; a second one was not.
constexpr int kForgotten = 2;

protocol::Failure Denial(FailureClass klass, std::string reason, std::string message,
                         std::string remedy, std::string remedy_zh) {
  return {.klass = klass,
          .reason = std::move(reason),
          .message = std::move(message),
          .tool_words = {},
          .remedy = std::move(remedy),
          .remedy_zh = std::move(remedy_zh)};
}

}  // namespace

SchedulerCore::Impl::Entry* SchedulerCore::Impl::Current(const Origin& from,
                                                         const AttemptKey& key) {
  return IsCurrent(from.agent, key) ? Find(key.task) : nullptr;
}

void SchedulerCore::Impl::On(const InventoryReceived& event, Moment at) {
  const AgentId& id = event.from.agent;
  if (gone_.contains(id)) return;
  Agent& agent = agents_[id];
  if (event.from.session < agent.last_session) return;
  if (event.from.session == agent.last_session && !agent.session) return;  // closed before
  agent.session = agent.last_session = event.from.session;
  agent.fresh = true;
  agent.slots = event.inventory.slots;
  agent.draining = event.inventory.draining;
  agent.takes_work = protocol::TakesWork(event.inventory.health);
  agent.labels = event.inventory.labels;
  agent.reported = event.inventory.attempts.size();
  agent.name = event.agent_name;
  Reconsider(roster_.Put(id, {agent.name, agent.labels, true}), at);
  RenewLease(id, at);

  protocol::Desired answer{
      .answers = event.inventory.sequence, .attempts = {}, .sync_after = Duration::max()};
  std::set<TaskId> listed;
  for (const protocol::AttemptStatus& status : event.inventory.attempts) {
    answer.attempts.push_back(WantFor(id, status, at));
    if (answer.attempts.back().want != Want::kForget) listed.insert(status.key.task);
  }
  NoteAbsent(id, listed, answer, at);
  NoteSilence(id, listed);
  Send(id, std::move(answer));
  UpdateRoom(id);
}

protocol::DesiredAttempt SchedulerCore::Impl::WantFor(const AgentId& agent,
                                                      const protocol::AttemptStatus& status,
                                                      Moment at) {
  protocol::DesiredAttempt desired{.key = status.key, .kind = status.kind, .spec = {}};
  desired.want = Want::kForget;
  if (Resolved(agent, status.key) != nullptr) {
    desired.want = Want::kKeep;
    return desired;
  }
  if (!IsCurrent(agent, status.key)) return desired;
  Entry& entry = tasks_.at(status.key.task);
  desired.kind = entry.task.kind;
  if (entry.task.state == TaskState::kOffered) Start(entry, at);
  entry.absent = 0;
  if (entry.task.state == TaskState::kUnknown) {
    desired.want = Want::kKeep;
  } else if (entry.task.cancel_requested) {
    desired.want = Want::kCancel;
  } else {
    desired.want = status.phase == protocol::AttemptPhase::kAccepted ? Want::kStart : Want::kKeep;
  }
  return desired;
}

void SchedulerCore::Impl::NoteAbsent(const AgentId& agent, const std::set<TaskId>& listed,
                                     protocol::Desired& answer, Moment at) {
  const std::set<TaskId> held = agents_.at(agent).held;
  for (const TaskId& id : held) {
    if (listed.contains(id)) continue;
    Entry& entry = tasks_.at(id);
    if (entry.task.state == TaskState::kOffered) {
      answer.attempts.push_back(
          {.key = KeyOf(entry), .kind = entry.task.kind, .want = Want::kOffer, .spec = {}});
      continue;
    }
    if (++entry.absent >= kForgotten) {
      Lose(entry, "it does not hold the attempt any more", at);
    } else {
      answer.sync_after = Duration::zero();
    }
  }
}

void SchedulerCore::Impl::NoteSilence(const AgentId& agent, const std::set<TaskId>& listed) {
  std::vector<TaskId> unknown_to_it;
  for (auto it = owed_.lower_bound({agent, TaskId()});
       it != owed_.end() && it->first.first == agent; ++it) {
    const TaskId& task = it->first.second;
    it->second = listed.contains(task) ? 0 : it->second + 1;
    if (it->second >= kForgotten) unknown_to_it.push_back(task);
  }
  for (const TaskId& task : unknown_to_it) ForgiveWord(agent, task);
}

void SchedulerCore::Impl::On(const SessionClosed& event, Moment at) {
  if (!Listening(event.from)) return;
  Agent& agent = agents_.at(event.from.agent);
  agent.session.reset();
  agent.fresh = false;
  RenewLease(event.from.agent, at);
  UpdateRoom(event.from.agent);
}

void SchedulerCore::Impl::On(const Accepted& event, Moment at) {
  if (!Listening(event.from)) return;
  const auto desired =
      WantFor(event.from.agent, {.key = event.key, .phase = protocol::AttemptPhase::kAccepted}, at);
  Push(event.from.agent, desired.key, desired.kind, desired.want);
}

void SchedulerCore::Impl::On(const Refused& event, Moment at) {
  if (!Listening(event.from)) return;
  Entry* entry = Current(event.from, event.key);
  if (entry == nullptr || entry->task.state != TaskState::kOffered) return;
  agents_.at(event.from.agent).refused = true;
  due_.Set({Due::kRefusal, event.from.agent.value()}, at.now + options_.refusal_pause);
  Requeue(*entry, "refused: " + event.reason, Duration::zero(), at);
}

void SchedulerCore::Impl::On(const StepReported& event, Moment) {
  if (!Listening(event.from)) return;
  const protocol::StepReport& report = event.step;
  if (Resolved(event.from.agent, report.key) != nullptr) return;
  Entry* entry = Current(event.from, report.key);
  if (entry == nullptr) {
    Push(event.from.agent, report.key, TaskKind::kBuild, Want::kForget);
    return;
  }
  domain::Step step{.key = report.key,
                    .number = report.number,
                    .name = report.name,
                    .state = report.state,
                    .started_at = report.at,
                    .finished_at = {},
                    .detail = report.detail};
  if (report.state == protocol::StepState::kStarted) {
    entry->step_number = report.number;
    entry->step_started_at = report.at;
  } else {
    step.finished_at = report.at;
    if (entry->step_number == report.number) step.started_at = entry->step_started_at;
  }
  open_.changes.push_back(store::RecordStep{std::move(step)});
  Changed(report.key.task);
}

void SchedulerCore::Impl::On(const ResultReported& event, Moment at) {
  if (!Listening(event.from)) return;
  if (Resolved(event.from.agent, event.key) != nullptr) {
    TakeLate(event, at);
    return;
  }
  Entry* entry = Current(event.from, event.key);
  if (entry == nullptr) {
    Push(event.from.agent, event.key, TaskKind::kBuild, Want::kForget);
    return;
  }
  const TaskKind kind = entry->task.kind;
  // A result of an attempt never started: its inventory will start it, then the result counts.
  if (entry->task.state == TaskState::kOffered || event.log == LogState::kIncomplete) return;
  protocol::AttemptResult result = event.result;
  if (event.log == LogState::kDamaged) {
    result.log.missing = std::max(result.log.missing, event.log_missing);
    result.log.root = Sha256Digest();
  }
  if (result.ok()) {
    const Moment started{entry->started, entry->task.started_at};
    SLIPWAY_CHECK(kind != TaskKind::kPublish || event.release.has_value());
    Finish(*entry, "agent:" + event.from.agent.value(), TaskState::kSucceeded, std::move(result),
           event.release, at);
    // One that says nothing new, or too early, has answered all the same.
    if (event.resolves) Settle(*event.resolves, started, at).IgnoreError();
  } else {
    TakeFailure(*entry, event, std::move(result), at);
  }
  open_.effects.taken.push_back({event.key, event.log == LogState::kComplete, event.log_missing});
  Push(event.from.agent, event.key, kind, Want::kForget);
}

void SchedulerCore::Impl::TakeFailure(Entry& entry, const ResultReported& event,
                                      protocol::AttemptResult result, Moment at) {
  const FailureClass klass = result.failure->klass;
  const bool unknown = entry.task.state == TaskState::kUnknown;
  const std::string actor = "agent:" + event.from.agent.value();
  if (entry.task.kind == TaskKind::kPublish && klass == FailureClass::kPublishUnknown) {
    MarkUnknown(entry, std::move(result), true, at);
    return;
  }
  if (unknown) {
    Finish(entry, actor, TaskState::kFailed, std::move(result), std::nullopt, at);
    return;
  }
  const bool retryable = entry.task.kind != TaskKind::kPublish && RetryOf(klass) != Retry::kNever;
  const auto pause = PauseBeforeRetry(entry.task.kind, klass, entry.task.starts, Limits());
  if (klass == FailureClass::kCanceled || (retryable && entry.task.cancel_requested)) {
    Finish(entry, actor, TaskState::kCanceled, std::move(result), std::nullopt, at);
  } else if (pause) {
    const std::string why =
        std::string(protocol::FailureClassName(klass)) + ": " + result.failure->message;
    Requeue(entry, why, *pause, at);
  } else {
    Finish(entry, actor, TaskState::kFailed, std::move(result), std::nullopt, at);
  }
}

void SchedulerCore::Impl::On(const PermitRequested& event, Moment at) {
  if (!Listening(event.from)) return;
  Entry* entry = Current(event.from, event.key);
  const bool runs = entry != nullptr && entry->task.state == TaskState::kRunning &&
                    !protocol::RunsScript(entry->task.kind);
  const auto deny = [&](protocol::Failure failure) {
    Send(event.from.agent, protocol::PermitDenied{event.key, std::move(failure)});
  };
  if (!runs) {
    Push(event.from.agent, event.key, TaskKind::kPublish,
         entry == nullptr ? Want::kForget : Want::kCancel);
    return;
  }
  // It became current while the shell looked; the agent asks again.
  if (event.nonce.empty()) return;
  if (entry->task.cancel_requested) {
    deny(Denial(FailureClass::kCanceled, "CANCELED", "It was canceled before it began.", "", ""));
    return;
  }
  if (protocol::IsRepeatable(entry->task.kind)) {
    // Safe to repeat: nothing to remember.
    Send(event.from.agent, protocol::Permit{.key = event.key,
                                            .nonce = event.nonce,
                                            .answers = event.sequence,
                                            .valid_for = options_.permit_ttl,
                                            .deadline = event.deadline,
                                            .secret = {}});
    return;
  }
  if (!entry->permit) {
    if (const TaskId other = OtherPermitOfGroup(*entry); !other.value().empty()) {
      deny(Denial(FailureClass::kPolicy, "GROUP_HELD",
                  "Another publish to the same target, " + other.value() +
                      ", has begun and its end is not known. Nothing was published.",
                  "Publish again when that one has ended.", "请在该发布结束后重新发布。"));
      return;
    }
    entry->permit = domain::PublishPermit{.key = event.key,
                                          .nonce = event.nonce,
                                          .manifest = event.manifest,
                                          .not_after = at.wall + options_.permit_ttl,
                                          .deadline = event.deadline,
                                          .client_ended_at = {},
                                          .reported = false};
    permit_times_.insert_or_assign(
        event.key.task, PermitTimes{.nonce = event.nonce, .end = at.now + options_.permit_ttl});
    open_.changes.push_back(store::GrantPermit{SchedulerCause(at), *entry->permit});
  }
  const domain::PublishPermit& permit = *entry->permit;
  if (permit.key != event.key || permit.manifest != event.manifest) {
    deny(Denial(FailureClass::kPolicy, "PERMIT_MISMATCH",
                "Leave to publish was given to another attempt or for other bytes.",
                "Submit again; tell the operator when it happens twice.",
                "请重新提交；若再次出现，请联系管理员。"));
    return;
  }
  // The wall clock may have been set since.
  const Duration left =
      std::min<Duration>(permit.not_after - at.wall, permit_times_.at(event.key.task).end - at.now);
  if (left <= Duration::zero()) {
    deny(Denial(FailureClass::kTimeout, "PERMIT_EXPIRED",
                "The time in which the publish might begin has passed. Nothing was published.",
                "Publish again.", "请重新发布。"));
    return;
  }
  Send(event.from.agent, protocol::Permit{.key = event.key,
                                          .nonce = permit.nonce,
                                          .answers = event.sequence,
                                          .valid_for = left,
                                          .deadline = permit.deadline,
                                          .secret = {}});
}

TaskId SchedulerCore::Impl::OtherPermitOfGroup(const Entry& entry) const {
  if (!entry.group) return TaskId();
  for (const TaskId& holder : groups_.Holders(*entry.group)) {
    if (holder != entry.task.id && tasks_.at(holder).permit) return holder;
  }
  return TaskId();
}

void SchedulerCore::Impl::RenewLease(const AgentId& id, Moment at) {
  due_.Set({Due::kLease, id.value()}, std::max(at.now + options_.lease_ttl, grace_end_));
}

void SchedulerCore::Impl::ExpireLease(const AgentId& id, Moment at) {
  Agent& agent = agents_.at(id);
  agent.fresh = false;
  const std::set<TaskId> held = agent.held;
  UpdateRoom(id);
  for (const TaskId& task : held) {
    Lose(tasks_.at(task), "it was silent for too long", at);
  }
}

void SchedulerCore::Impl::ForgiveStandstill(Moment at) {
  grace_end_ = at.now + options_.grace;
  for (const auto& [id, agent] : agents_) {
    due_.Set({Due::kLease, id.value()}, grace_end_);
    for (const TaskId& task : agent.held) {
      if (tasks_.at(task).task.state != TaskState::kOffered) continue;
      due_.Set({Due::kTask, task.value()}, at.now + options_.offer_timeout);
    }
  }
  for (auto& [id, entry] : tasks_) {
    const bool waits = due_.Of({Due::kWait, id.value()}) || due_.Of({Due::kNobody, id.value()});
    if (waits) AwaitAgent(entry, at, options_.grace);
  }
}

}  // namespace slipway::scheduler
