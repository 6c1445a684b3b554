#pragma once

#include <chrono>

#include "agent/init/protocol.h"
#include "common/base/time.h"

namespace slipway::init {

// The life of one step as a pure state machine: which signal is due, and when it is over. It knows
// the direct child, the output pipe and whether any other process is left; it does no I/O and reads
// no clock. A step that could not start never gets one.
//
//   running ──child exits──► draining ──pipe closed or drain time over──┐
//      │                                                              ▼
//      └──deadline, cancel──────────────────────────► terminating ─► killing ─► over
//
// Over means: the child has exited and nobody is left, or somebody could not be killed for kGiveUp.
// Thread-compatible.
class StepCore {
 public:
  // How often what must die is looked at, and killed, again.
  static constexpr Duration kSweep = std::chrono::milliseconds(20);
  // A process in uninterruptible sleep must not cost the result.
  static constexpr Duration kGiveUp = std::chrono::seconds(10);

  // Whoever closes the pipe by ending is given this long to be gone.
  static constexpr Duration kSettle = std::chrono::milliseconds(10);

  enum class Action { kNone, kTerm, kKill };

  StepCore(const StepSpec& spec, MonoTime now);

  void OnOutput(MonoTime now) { last_output_ = now; }
  // While init itself does not read, silence is not the step's fault.
  void SetReading(bool reading, MonoTime now);
  void OnChildExited(bool by_signal, MonoTime now);
  void OnPipeClosed(MonoTime now);
  void OnNobodyLeft();
  // `grace` from now. The first reason stays; a shorter grace shortens a kill that is already due.
  void OnCancel(Duration grace, MonoTime now);

  // The signal to send to everybody now. Call after every event and at NextWake().
  [[nodiscard]] Action Advance(MonoTime now);
  [[nodiscard]] MonoTime NextWake() const;

  [[nodiscard]] bool over() const { return phase_ == Phase::kOver; }
  // From the child's exit or the first signal on.
  [[nodiscard]] bool ending() const { return phase_ != Phase::kRunning; }
  [[nodiscard]] bool child_exited() const { return child_exited_; }
  [[nodiscard]] StopReason reason() const { return reason_; }
  [[nodiscard]] bool left_processes() const { return left_processes_; }

 private:
  enum class Phase { kRunning, kDraining, kTerminating, kKilling, kOver };

  void Terminate(Duration grace, MonoTime now);
  [[nodiscard]] MonoTime SilenceDeadline() const;

  const Duration term_grace_;
  const Duration drain_time_;
  const Duration no_output_timeout_;
  const MonoTime run_deadline_;  // max: none

  Phase phase_ = Phase::kRunning;
  StopReason reason_ = StopReason::kExited;
  bool reason_fixed_ = false;
  bool child_exited_ = false;
  bool pipe_closed_ = false;
  bool reading_ = true;
  bool term_due_ = false;
  bool left_processes_ = false;
  MonoTime last_output_;
  MonoTime drain_until_ = MonoTime::max();
  MonoTime kill_at_ = MonoTime::max();
  MonoTime give_up_at_ = MonoTime::max();
  MonoTime next_sweep_ = MonoTime::max();
};

}  // namespace slipway::init
