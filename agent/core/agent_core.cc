#include "agent/core/agent_core.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "agent/core/agent_impl.h"

namespace slipway::agent {

using protocol::AttemptPhase;
using protocol::FailureClass;
using protocol::TaskKind;

namespace {

// Steps remembered of an attempt, to tell them again after a reconnect.
constexpr std::size_t kMaxSteps = 64;
// An answer that took longer says too little about the controller's clock.
constexpr Duration kSlowAnswer = std::chrono::seconds(5);
// Requests for a permit whose answers still count.
constexpr std::size_t kMaxPermitRequests = 16;

}  // namespace

AgentCore::AgentCore(AgentOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
AgentCore::~AgentCore() = default;
AgentCore::AgentCore(AgentCore&&) noexcept = default;
AgentCore& AgentCore::operator=(AgentCore&&) noexcept = default;

std::vector<Action> AgentCore::Load(const std::vector<JournalEntry>& journal, MonoTime now) {
  return impl_->Load(journal, now);
}
std::vector<Action> AgentCore::Apply(Event event, MonoTime now, WallTime wall) {
  return impl_->Apply(std::move(event), now, wall);
}
std::optional<MonoTime> AgentCore::NextDeadline() const { return impl_->NextDeadline(); }
std::vector<JournalEntry> AgentCore::Snapshot() const { return impl_->Snapshot(); }
std::vector<AttemptView> AgentCore::Attempts() const { return impl_->Attempts(); }

std::vector<Action> AgentCore::Impl::Apply(Event event, MonoTime now, WallTime wall) {
  now_ = now;
  wall_ = wall;
  std::visit([&](auto& what) { On(what); }, event);
  return std::exchange(actions_, {});
}

std::optional<MonoTime> AgentCore::Impl::NextDeadline() const {
  if (!connected_) return std::nullopt;
  return next_sync_;
}

std::vector<AttemptView> AgentCore::Impl::Attempts() const {
  std::vector<AttemptView> views;
  for (const auto& [key, attempt] : attempts_) {
    views.push_back({.key = key,
                     .kind = attempt.kind,
                     .phase = attempt.synced,
                     .canceling = attempt.canceling,
                     .deleting = attempt.deleting,
                     .log_end = attempt.log.end(),
                     .log_durable = attempt.log.durable()});
  }
  return views;
}

AgentCore::Impl::Attempt* AgentCore::Impl::Live(const AttemptKey& key) {
  const auto it = attempts_.find(key);
  return it == attempts_.end() || it->second.deleting ? nullptr : &it->second;
}

void AgentCore::Impl::SendMessage(protocol::AgentMessage message) {
  if (connected_) actions_.push_back(Send{std::move(message)});
}

// ---- link

void AgentCore::Impl::On(Connected&) {
  connected_ = true;
  sequence_ = 0;
  for (auto& [key, attempt] : attempts_) attempt.log.OnConnected();
  Sync();
  for (const auto& [key, attempt] : attempts_) {
    if (attempt.deleting) continue;
    for (const protocol::StepReport& step : attempt.steps) SendMessage(step);
  }
  for (auto& [key, attempt] : attempts_) SendResult(attempt);
}

void AgentCore::Impl::On(Disconnected&) { connected_ = false; }

void AgentCore::Impl::On(Received& event) {
  if (!connected_ || event.message.epoch < epoch_) return;
  if (event.message.epoch > epoch_) {
    epoch_ = event.message.epoch;
    Write({.key = {}, .what = JournalEpoch{epoch_}});
  }
  std::visit([&](auto& body) { On(body); }, event.message.body);
}

void AgentCore::Impl::On(protocol::Desired& desired) {
  const bool answer = desired.answers != 0 && desired.answers == sequence_;
  std::set<AttemptKey> named;
  for (const protocol::DesiredAttempt& wanted : desired.attempts) {
    named.insert(wanted.key);
    if (wanted.want == protocol::Want::kOffer) {
      Offer(wanted);
      continue;
    }
    Attempt* attempt = Live(wanted.key);
    if (attempt == nullptr) continue;
    switch (wanted.want) {
      case protocol::Want::kStart: Start(*attempt, wanted.spec); break;
      case protocol::Want::kCancel: Cancel(*attempt); break;
      case protocol::Want::kForget: Forget(*attempt); break;
      case protocol::Want::kOffer:
      case protocol::Want::kKeep: break;
    }
  }
  if (answer) {
    for (const AttemptKey& key : inventoried_) {
      Attempt* attempt = named.contains(key) ? nullptr : Live(key);
      if (attempt != nullptr) Forget(*attempt);
    }
    next_sync_ = now_ + desired.sync_after;
    if (desired.sent_at) MeasureClock(*desired.sent_at);
  } else {
    next_sync_ = std::min(next_sync_, now_ + desired.sync_after);
  }
  if (desired.images) actions_.push_back(PrepareImages{std::move(*desired.images)});
  if (next_sync_ <= now_) Sync();
}

// The controller's clock was read somewhere between question and answer: what is reported is the
// least difference that this leaves possible.
void AgentCore::Impl::MeasureClock(WallTime controller) {
  const Duration took = now_ - last_sync_;
  if (took > kSlowAnswer) return;
  const Duration ahead = wall_ - controller;            // if it was read just now
  const Duration behind = controller - (wall_ - took);  // if it was read at once
  health_.clock_skew = Duration::zero();
  if (ahead < Duration::zero()) health_.clock_skew = ahead;
  if (behind < Duration::zero()) health_.clock_skew = -behind;
}

void AgentCore::Impl::Sync() {
  last_sync_ = now_;
  next_sync_ = now_ + options_.sync_interval;
  protocol::Inventory inventory{.sequence = ++sequence_,
                                .slots = options_.slots,
                                .draining = draining_,
                                .labels = options_.labels,
                                .attempts = {},
                                .health = health_,
                                .images = images_};
  inventoried_.clear();
  for (auto& [key, attempt] : attempts_) {
    if (!attempt.accept_synced) continue;
    inventory.attempts.push_back({key, attempt.kind, attempt.synced});
    inventoried_.insert(key);
  }
  SendMessage(std::move(inventory));
  for (auto& [key, attempt] : attempts_) {
    if (attempt.deleting) continue;
    if (attempt.permit_wanted && !attempt.nonce && !attempt.result) AskPermit(attempt);
    attempt.log.OnSync();
    PumpLog(attempt);
    attempt.result_sent = false;
  }
}

void AgentCore::Impl::On(Tick&) {
  if (!connected_ || now_ < next_sync_) return;
  Sync();
  for (auto& [key, attempt] : attempts_) SendResult(attempt);
}

void AgentCore::Impl::On(HealthChanged& event) {
  const bool same = SameStates(health_, event.health);
  event.health.clock_skew = health_.clock_skew;
  health_ = std::move(event.health);
  if (connected_ && !same) Sync();
}

void AgentCore::Impl::On(ImagesChanged& event) {
  if (images_ == event.images) return;
  images_ = std::move(event.images);
  if (connected_) Sync();
}

// ---- log

void AgentCore::Impl::PumpLog(Attempt& attempt) {
  if (!connected_ || attempt.deleting) return;
  while (const auto range = attempt.log.Next()) {
    actions_.push_back(SendLog{attempt.key, range->offset, range->end});
  }
}

void AgentCore::Impl::On(LogGrew& event) {
  Attempt* attempt = Live(event.key);
  if (attempt == nullptr) return;
  attempt->log.OnGrew(event.begin, event.end);
  PumpLog(*attempt);
  SendResult(*attempt);
}

void AgentCore::Impl::On(protocol::LogAck& ack) {
  Attempt* attempt = Live(ack.key);
  if (attempt == nullptr) return;
  if (attempt->log.OnAck(ack.received, ack.durable)) {
    actions_.push_back(FreeSpool{ack.key, std::min(attempt->log.durable(), attempt->log.end())});
  }
  PumpLog(*attempt);
  SendResult(*attempt);
}

// ---- runner

void AgentCore::Impl::On(StepHappened& event) {
  Attempt* attempt = Live(event.step.key);
  if (attempt == nullptr || attempt->result) return;
  auto& steps = attempt->steps;
  const auto same = std::find_if(steps.begin(), steps.end(), [&](const protocol::StepReport& step) {
    return step.number == event.step.number && step.state == event.step.state;
  });
  if (same == steps.end() && steps.size() < kMaxSteps) steps.push_back(event.step);
  SendMessage(std::move(event.step));
}

void AgentCore::Impl::On(PublishReady& event) {
  Attempt* attempt = Live(event.key);
  if (attempt == nullptr || protocol::RunsScript(attempt->kind) || attempt->result) return;
  if (attempt->nonce) {
    const bool earlier_process = attempt->client_may_run && !attempt->permit_wanted;
    if (earlier_process) {
      actions_.push_back(DenyPermit{
          event.key,
          {.klass = FailureClass::kPublishUnknown,
           .reason = "PUBLISH_UNKNOWN",
           .message = "The agent died when it had leave to publish; the leave is not used again.",
           .tool_words = {},
           .remedy = "Look at the platform whether the version is there.",
           .remedy_zh = "请先在平台上确认该版本是否已发布。"}});
    }
    return;
  }
  attempt->permit_wanted = event.manifest;
  if (attempt->canceling) {
    actions_.push_back(DenyPermit{event.key,
                                  {.klass = FailureClass::kCanceled,
                                   .reason = "CANCELED",
                                   .message = "Canceled before it began.",
                                   .tool_words = {},
                                   .remedy = {},
                                   .remedy_zh = {}}});
    return;
  }
  AskPermit(*attempt);
}

void AgentCore::Impl::AskPermit(Attempt& attempt) {
  attempt.permit_asked[++permit_requests_] = now_;
  if (attempt.permit_asked.size() > kMaxPermitRequests) {
    attempt.permit_asked.erase(attempt.permit_asked.begin());
  }
  SendMessage(protocol::PermitRequest{attempt.key, *attempt.permit_wanted, permit_requests_});
}

void AgentCore::Impl::On(AttemptDeleted& event) {
  const auto it = attempts_.find(event.key);
  if (it == attempts_.end() || !it->second.deleting) return;
  attempts_.erase(it);
  DropUnsynced(event.key);
  Write({.key = event.key, .what = JournalDeleted{}});
  SayIfDrained();
}

void AgentCore::Impl::SendResult(Attempt& attempt) {
  if (!connected_ || attempt.deleting || attempt.result_sent || !attempt.result ||
      attempt.synced != AttemptPhase::kFinished) {
    return;
  }
  protocol::ResultReport report{attempt.key, *attempt.result};
  protocol::LogSummary& log = report.result.log;
  const std::uint64_t lost = attempt.log.lost();
  const std::uint64_t rest = log.size - std::min(log.size, attempt.log.durable());
  const bool never =
      attempt.spool_closed && attempt.log.answered() && attempt.log.durable() >= attempt.log.end();
  // The log is there, or the result says what it lacks: it waits for no byte that cannot come.
  if (rest > log.missing && lost == 0 && !never) return;
  log.missing = std::max({log.missing, lost, never ? rest : std::uint64_t{0}});
  attempt.result_sent = true;
  SendMessage(std::move(report));
}

}  // namespace slipway::agent
