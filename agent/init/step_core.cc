#include "agent/init/step_core.h"

#include <algorithm>

namespace slipway::init {

StepCore::StepCore(const StepSpec& spec, MonoTime now)
    : term_grace_(spec.term_grace),
      drain_time_(spec.drain_time),
      no_output_timeout_(spec.no_output_timeout),
      run_deadline_(spec.run_timeout > Millis(0) ? now + spec.run_timeout : MonoTime::max()),
      last_output_(now) {}

void StepCore::SetReading(bool reading, MonoTime now) {
  if (reading && !reading_) last_output_ = now;
  reading_ = reading;
}

void StepCore::OnChildExited(bool by_signal, MonoTime now) {
  child_exited_ = true;
  if (!reason_fixed_) reason_ = by_signal ? StopReason::kSignaled : StopReason::kExited;
  reason_fixed_ = true;
  if (phase_ != Phase::kRunning) return;
  phase_ = Phase::kDraining;
  drain_until_ = now + (pipe_closed_ ? std::min(kSettle, drain_time_) : drain_time_);
}

void StepCore::OnPipeClosed(MonoTime now) {
  pipe_closed_ = true;
  if (phase_ == Phase::kDraining) drain_until_ = std::min(drain_until_, now + kSettle);
}

void StepCore::OnNobodyLeft() {
  if (child_exited_) phase_ = Phase::kOver;
}

void StepCore::OnCancel(Duration grace, MonoTime now) {
  switch (phase_) {
    case Phase::kRunning:
    case Phase::kDraining:
      if (!reason_fixed_) reason_ = StopReason::kCanceled;
      reason_fixed_ = true;
      Terminate(grace, now);
      break;
    case Phase::kTerminating: kill_at_ = std::min(kill_at_, now + grace); break;
    case Phase::kKilling:
    case Phase::kOver: break;
  }
}

void StepCore::Terminate(Duration grace, MonoTime now) {
  phase_ = Phase::kTerminating;
  if (child_exited_) left_processes_ = true;
  term_due_ = true;
  kill_at_ = now + grace;
  next_sweep_ = now + kSweep;
}

MonoTime StepCore::SilenceDeadline() const {
  if (no_output_timeout_ <= Duration::zero() || !reading_) return MonoTime::max();
  return last_output_ + no_output_timeout_;
}

StepCore::Action StepCore::Advance(MonoTime now) {
  if (phase_ == Phase::kRunning && (now >= run_deadline_ || now >= SilenceDeadline())) {
    reason_ = now >= run_deadline_ ? StopReason::kRunTimeout : StopReason::kNoOutputTimeout;
    reason_fixed_ = true;
    Terminate(term_grace_, now);
  }
  if (phase_ == Phase::kDraining && now >= drain_until_) {
    Terminate(drain_time_, now);
  }
  if (phase_ == Phase::kTerminating && now >= kill_at_) {
    phase_ = Phase::kKilling;
    term_due_ = false;
    give_up_at_ = now + kGiveUp;
    next_sweep_ = now;
  }
  if (phase_ == Phase::kKilling) {
    if (now >= give_up_at_) {
      phase_ = Phase::kOver;
      return Action::kNone;
    }
    if (now < next_sweep_) return Action::kNone;
    next_sweep_ = now + kSweep;
    return Action::kKill;
  }
  if (phase_ == Phase::kTerminating) {
    if (now >= next_sweep_) next_sweep_ = now + kSweep;
    if (term_due_) {
      term_due_ = false;
      return Action::kTerm;
    }
  }
  return Action::kNone;
}

MonoTime StepCore::NextWake() const {
  switch (phase_) {
    case Phase::kRunning: return std::min(run_deadline_, SilenceDeadline());
    case Phase::kDraining: return drain_until_;
    case Phase::kTerminating: return std::min(kill_at_, next_sweep_);
    case Phase::kKilling: return next_sweep_;
    case Phase::kOver: return MonoTime::max();
  }
  return MonoTime::max();
}

}  // namespace slipway::init
