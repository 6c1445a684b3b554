#include <algorithm>
#include <utility>
#include <variant>

#include "agent/core/agent_impl.h"

// The life of an attempt from offer to deletion, and its journal.
namespace slipway::agent {

using protocol::AttemptPhase;
using protocol::FailureClass;
using protocol::TaskKind;

namespace {

// Secrets do not stay behind in freed memory.
void Wipe(std::string& text) {
  volatile char* bytes = text.data();
  for (std::size_t i = 0; i < text.size(); ++i) bytes[i] = 0;
  text.clear();
}

protocol::Failure MakeFailure(FailureClass klass, std::string reason, std::string message,
                              std::string remedy = {}, std::string remedy_zh = {}) {
  return {.klass = klass,
          .reason = std::move(reason),
          .message = std::move(message),
          .tool_words = {},
          .remedy = std::move(remedy),
          .remedy_zh = std::move(remedy_zh)};
}

protocol::Failure Canceled(std::string message) {
  return MakeFailure(FailureClass::kCanceled, "CANCELED", std::move(message));
}

protocol::Failure AgentStopped(TaskKind kind) {
  if (kind == TaskKind::kPublish) {
    return MakeFailure(FailureClass::kAgentLost, "AGENT_STOPPED",
                       "The agent was stopped before the publish began. Nothing was published.",
                       "Publish again.", "请重新发布。");
  }
  if (kind == TaskKind::kProbe) {
    return MakeFailure(FailureClass::kAgentLost, "AGENT_STOPPED",
                       "The agent was stopped in the middle of the probe.", "Probe again.",
                       "请重新探测。");
  }
  if (kind == TaskKind::kPreview) {
    return MakeFailure(FailureClass::kAgentLost, "AGENT_STOPPED",
                       "The agent was stopped in the middle of the preview.",
                       "Nothing, unless no other agent takes it: then submit again.",
                       "无需处理；若没有其他代理接手，请重新提交。");
  }
  return MakeFailure(FailureClass::kAgentLost, "AGENT_STOPPED",
                     kind == TaskKind::kScript
                         ? "The agent was stopped in the middle of the script."
                         : "The agent was stopped in the middle of the build.",
                     "Nothing, unless no other agent takes it: then submit again.",
                     "无需处理；若没有其他代理接手，请重新提交。");
}

// Of an attempt that never began. The root of an empty log is the SHA-256 of nothing.
protocol::LogSummary EmptyLog() {
  static const Sha256Digest kRoot =
      *Sha256Digest::Parse("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  return {.size = 0, .root = kRoot, .missing = 0};
}

}  // namespace

// ---- what the controller wants

void AgentCore::Impl::Offer(const protocol::DesiredAttempt& desired) {
  if (const auto held = attempts_.find(desired.key); held != attempts_.end()) {
    if (held->second.deleting || !held->second.accept_synced) return;
    if (draining_) {
      HandBack(held->second);
    } else {
      SendMessage(protocol::Accept{desired.key});
    }
    return;
  }
  const auto busy = std::count_if(attempts_.begin(), attempts_.end(),
                                  [](const auto& held) { return !held.second.result; });
  std::string why = protocol::WhyNoWork(health_);
  if (draining_) why = "the agent is being stopped";
  if (why.empty() && busy >= static_cast<std::ptrdiff_t>(options_.slots)) why = "no free slot";
  if (!why.empty()) {
    SendMessage(protocol::Refuse{desired.key, std::move(why)});
    return;
  }
  Attempt& attempt = attempts_.try_emplace(desired.key, options_.log_window_bytes).first->second;
  attempt.key = desired.key;
  attempt.kind = desired.kind;
  Write({.key = desired.key, .what = JournalAccepted{desired.kind}});
}

void AgentCore::Impl::Start(Attempt& attempt, const std::string& spec) {
  if (!attempt.accept_synced || attempt.spec || attempt.result) return;
  attempt.spec = spec;
  Write({.key = attempt.key, .what = JournalRunning{spec}});
}

void AgentCore::Impl::Cancel(Attempt& attempt) {
  attempt.hurried = false;
  if (attempt.canceling || attempt.result) return;
  attempt.canceling = true;
  if (attempt.started) {
    actions_.push_back(CancelAttempt{attempt.key});
  } else {
    Finish(attempt, Failed(Canceled("Canceled before it began."), EmptyLog()));
  }
}

void AgentCore::Impl::Forget(Attempt& attempt) {
  attempt.deleting = true;
  actions_.push_back(DeleteAttempt{attempt.key});
}

void AgentCore::Impl::On(protocol::Permit& permit) {
  Attempt* attempt = Live(permit.key);
  const bool wanted = attempt != nullptr && attempt->permit_wanted && !attempt->nonce &&
                      !attempt->result && !attempt->canceling &&
                      attempt->permit_asked.contains(permit.answers);
  if (!wanted) {
    Wipe(permit.secret);
    return;
  }
  const MonoTime valid_until = attempt->permit_asked.at(permit.answers) + permit.valid_for;
  if (now_ >= valid_until) {
    // This process stood still, or the answer was long on its way: the controller knows whether any
    // time is left.
    attempt->permit_asked.erase(permit.answers);
    Wipe(permit.secret);
    AskPermit(*attempt);
    return;
  }
  if (protocol::IsRepeatable(attempt->kind)) {
    // Changes nothing that the public sees: may run again after a restart, so nothing is
    // remembered.
    attempt->permit_wanted.reset();
    actions_.push_back(GivePermit{.key = attempt->key,
                                  .nonce = permit.nonce,
                                  .secret = std::move(permit.secret),
                                  .valid_until = valid_until,
                                  .deadline = permit.deadline});
    return;
  }
  attempt->nonce = permit.nonce;
  JournalEntry entry{.key = permit.key, .what = JournalPublishStarted{permit.nonce}};
  Write(std::move(entry), std::move(permit), valid_until);
}

void AgentCore::Impl::On(protocol::PermitDenied& denied) {
  Attempt* attempt = Live(denied.key);
  if (attempt == nullptr || !attempt->permit_wanted || attempt->nonce || attempt->result) return;
  attempt->permit_wanted.reset();
  actions_.push_back(DenyPermit{denied.key, std::move(denied.failure)});
}

// ---- what became of it

protocol::AttemptResult AgentCore::Impl::Failed(protocol::Failure failure,
                                                const protocol::LogSummary& log) const {
  protocol::AttemptResult result;
  result.failure = std::move(failure);
  result.finished_at = wall_;
  result.log = log;
  return result;
}

void AgentCore::Impl::Finish(Attempt& attempt, protocol::AttemptResult result) {
  const bool canceled = result.failure && result.failure->klass == FailureClass::kCanceled;
  if (canceled && attempt.hurried) result.failure = AgentStopped(attempt.kind);
  attempt.result = result;
  attempt.log.OnEnded(result.log.size);
  attempt.permit_wanted.reset();
  Write({.key = attempt.key, .what = JournalFinished{std::move(result)}});
}

void AgentCore::Impl::FinishUnknown(Attempt& attempt, std::string message,
                                    const protocol::LogSummary& log, bool client_ended) {
  protocol::AttemptResult result =
      Failed(MakeFailure(FailureClass::kPublishUnknown, "PUBLISH_UNKNOWN", std::move(message),
                         "Look at the platform whether the version is there, then tell the farm: "
                         "slipway releases resolve.",
                         "请先在平台上确认该版本是否已发布，再用 slipway releases resolve "
                         "告知农场。"),
             log);
  result.client_ended = client_ended;
  Finish(attempt, std::move(result));
}

void AgentCore::Impl::On(AttemptEnded& event) {
  Attempt* attempt = Live(event.key);
  if (attempt == nullptr || !attempt->started || attempt->result) return;
  Finish(*attempt, std::move(event.result));
}

void AgentCore::Impl::On(AttemptVanished& event) {
  Attempt* attempt = Live(event.key);
  if (attempt == nullptr || !attempt->started || attempt->result) return;
  if (attempt->client_may_run) {
    FinishUnknown(*attempt,
                  "The publish had begun when its container was lost; nobody saw its end.",
                  event.log, event.client_ended);
  } else if (attempt->canceling) {
    Finish(*attempt, Failed(Canceled("Canceled; its container was lost meanwhile."), event.log));
  } else if (protocol::RunsScript(attempt->kind)) {
    Finish(*attempt,
           Failed(MakeFailure(FailureClass::kAgentLost, "CONTAINER_LOST",
                              "The script's container was lost in the middle.",
                              "Look whether the machine was restarted or ran out of memory.",
                              "请检查构建机是否重启过或内存不足。"),
                  event.log));
  } else if (attempt->nonce || attempt->starts >= options_.max_publish_starts) {
    Finish(*attempt,
           Failed(MakeFailure(FailureClass::kInfrastructure, "CONTAINER_LOST",
                              attempt->kind == TaskKind::kProbe ? "The probe's container was lost."
                              : attempt->kind == TaskKind::kPreview
                                  ? "The preview's container was lost."
                                  : "The publish's container was lost before it began; nothing "
                                    "was published.",
                              "Look at the agent's machine, then try again.",
                              "请检查构建机，然后重试。"),
                  event.log));
  } else {
    ++attempt->starts;
    attempt->permit_wanted.reset();
    actions_.push_back(StartAttempt{attempt->key, attempt->kind, *attempt->spec});
  }
}

void AgentCore::Impl::On(AttemptNotTakenUp& event) {
  Attempt* attempt = Live(event.key);
  if (attempt == nullptr || !attempt->started) return;
  if (attempt->result) {
    attempt->spool_closed = true;
    SendResult(*attempt);
  } else if (attempt->client_may_run) {
    FinishUnknown(*attempt,
                  "The publish had begun when the agent was restarted, and nobody saw its end: it "
                  "could not be taken up again: " +
                      event.failure.message,
                  event.log, event.client_ended);
  } else if (attempt->canceling) {
    Finish(*attempt, Failed(Canceled("Canceled before it began."), event.log));
  } else {
    Finish(*attempt, Failed(std::move(event.failure), event.log));
  }
}

// ---- journal

void AgentCore::Impl::Write(JournalEntry entry, protocol::Permit permit, MonoTime valid_until) {
  const JournalId id = ++last_journal_;
  actions_.push_back(WriteJournal{id, entry});
  after_sync_.push_back({id, std::move(entry), std::move(permit), valid_until});
}

void AgentCore::Impl::DropUnsynced(const AttemptKey& key) {
  for (AfterSync& after : after_sync_) {
    if (after.entry.key == key) Wipe(after.permit.secret);
  }
  std::erase_if(after_sync_, [&](const AfterSync& after) { return after.entry.key == key; });
}

void AgentCore::Impl::On(JournalSynced& event) {
  while (!after_sync_.empty() && after_sync_.front().id <= event.id) {
    AfterSync after = std::move(after_sync_.front());
    after_sync_.pop_front();
    if (Attempt* attempt = Live(after.entry.key)) {
      if (std::holds_alternative<JournalAccepted>(after.entry.what)) AfterAccepted(*attempt);
      if (std::holds_alternative<JournalRunning>(after.entry.what)) AfterRunning(*attempt);
      if (std::holds_alternative<JournalPublishStarted>(after.entry.what)) {
        AfterMarker(*attempt, after);
      }
      if (std::holds_alternative<JournalFinished>(after.entry.what)) AfterFinished(*attempt);
    }
    Wipe(after.permit.secret);
  }
}

void AgentCore::Impl::AfterAccepted(Attempt& attempt) {
  attempt.accept_synced = true;
  if (draining_) {
    HandBack(attempt);
  } else {
    SendMessage(protocol::Accept{attempt.key});
  }
}

void AgentCore::Impl::AfterRunning(Attempt& attempt) {
  attempt.synced = std::max(attempt.synced, AttemptPhase::kRunning);
  if (attempt.result) return;  // canceled meanwhile
  if (hurrying_) {
    Finish(attempt, Failed(AgentStopped(attempt.kind), EmptyLog()));
    return;
  }
  attempt.started = true;
  attempt.starts = 1;
  actions_.push_back(StartAttempt{attempt.key, attempt.kind, *attempt.spec});
}

void AgentCore::Impl::AfterMarker(Attempt& attempt, AfterSync& after) {
  if (attempt.result) return;
  if (attempt.canceling) {
    actions_.push_back(DenyPermit{attempt.key, Canceled("Canceled before the publish began.")});
  } else if (now_ >= after.valid_until) {
    actions_.push_back(
        DenyPermit{attempt.key,
                   MakeFailure(FailureClass::kTimeout, "PERMIT_EXPIRED",
                               "The time in which the publish might begin has passed. Nothing was "
                               "published.",
                               "Publish again.", "请重新发布。")});
  } else {
    attempt.client_may_run = true;
    actions_.push_back(GivePermit{.key = attempt.key,
                                  .nonce = after.permit.nonce,
                                  .secret = std::exchange(after.permit.secret, {}),
                                  .valid_until = after.valid_until,
                                  .deadline = after.permit.deadline});
  }
}

void AgentCore::Impl::AfterFinished(Attempt& attempt) {
  attempt.synced = AttemptPhase::kFinished;
  PumpLog(attempt);
  SendResult(attempt);
}

std::vector<Action> AgentCore::Impl::Load(const std::vector<JournalEntry>& journal, MonoTime now) {
  now_ = now;
  for (const JournalEntry& entry : journal) {
    if (const auto* seen = std::get_if<JournalEpoch>(&entry.what)) {
      epoch_ = std::max(epoch_, seen->epoch);
      continue;
    }
    if (const auto* accepted = std::get_if<JournalAccepted>(&entry.what)) {
      Attempt& attempt = attempts_.try_emplace(entry.key, options_.log_window_bytes).first->second;
      attempt.key = entry.key;
      attempt.kind = accepted->kind;
      attempt.accept_synced = true;
      continue;
    }
    const auto it = attempts_.find(entry.key);
    if (it == attempts_.end()) continue;
    Attempt& attempt = it->second;
    if (const auto* running = std::get_if<JournalRunning>(&entry.what)) {
      attempt.spec = running->spec;
      attempt.synced = std::max(attempt.synced, AttemptPhase::kRunning);
    } else if (const auto* marker = std::get_if<JournalPublishStarted>(&entry.what)) {
      attempt.nonce = marker->nonce;
      attempt.client_may_run = true;
    } else if (const auto* finished = std::get_if<JournalFinished>(&entry.what)) {
      attempt.result = finished->result;
      attempt.log.OnEnded(finished->result.log.size);
      attempt.synced = AttemptPhase::kFinished;
    } else {
      attempts_.erase(it);
    }
  }
  for (auto& [key, attempt] : attempts_) {
    if (!attempt.spec) continue;
    attempt.started = true;
    attempt.starts = 1;
    actions_.push_back(AdoptAttempt{
        .key = key,
        .kind = attempt.kind,
        .spec = *attempt.spec,
        .phase = attempt.synced,
        .publish_started = attempt.nonce.has_value(),
        .log_end = attempt.result ? attempt.result->log.size - attempt.result->log.missing : 0});
  }
  return std::exchange(actions_, {});
}

std::vector<JournalEntry> AgentCore::Impl::Snapshot() const {
  std::vector<JournalEntry> journal;
  if (epoch_ > Epoch()) journal.push_back({{}, JournalEpoch{epoch_}});
  for (const auto& [key, attempt] : attempts_) {
    journal.push_back({key, JournalAccepted{attempt.kind}});
    if (attempt.spec) journal.push_back({key, JournalRunning{*attempt.spec}});
    if (attempt.nonce) journal.push_back({key, JournalPublishStarted{*attempt.nonce}});
    if (attempt.result) journal.push_back({key, JournalFinished{*attempt.result}});
  }
  return journal;
}

}  // namespace slipway::agent
