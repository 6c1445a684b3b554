#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/init/files.h"
#include "agent/init/launch.h"
#include "agent/init/protocol.h"
#include "agent/init/spool.h"
#include "agent/init/step_core.h"
#include "common/base/time.h"
#include "common/mask/secret_masker.h"

namespace slipway::init {

// Runs the steps of one container, one at a time: starts, pumps the output through the mask into
// the spool, signals what StepCore says, reaps, and writes the result. Knows no socket. Confined to
// the thread of process 1, whose namespace it owns: it signals and reaps everybody in it.
class Supervisor {
 public:
  struct Refusal {
    AckCode code = AckCode::kOk;
    std::string message;
  };

  // `control_fd` and `spool` must outlive this. `emit` gets StepStarted, StepExited, Backpressure
  // and Doorbell.
  Supervisor(int control_fd, std::uint32_t control_owner, Spool* spool, const Clock* clock,
             std::function<void(const Event&)> emit);

  Refusal Run(const StepSpec& spec);
  Refusal SetMasks(const std::vector<std::string>& secrets);
  Refusal WriteSecret(const init::WriteSecret& secret);
  Refusal AppendLog(std::string_view bytes);
  // Appends the text, masked as a whole, to *masked.
  Refusal MaskText(std::string_view bytes, std::string* masked) const;
  Refusal CancelStep(std::uint32_t step, Millis grace);
  void SetDurable(std::uint64_t offset);
  void SetBudget(std::uint64_t bytes);
  // Ends a running step as canceled.
  void CancelAny(Millis grace);
  [[nodiscard]] Hello Describe() const;

  // The event loop's side: the pipe to wait for (-1: none now), the time to call Tick at the
  // latest, and what to call when SIGCHLD came.
  [[nodiscard]] int output_fd();
  void OnOutputReady();
  void OnChildSignal();
  void Tick();
  [[nodiscard]] MonoTime NextWake() const;

  [[nodiscard]] bool idle() const { return !step_.has_value(); }
  // Kills everybody else in the namespace; true when nobody is left.
  bool KillEverybody();

 private:
  struct Step {
    StepSpec spec;
    StepCore core;
    pid_t pid;
    Fd output;
    ResultFile file;
    StepResult result;
    int wait_status = 0;
    std::optional<std::uint64_t> oom_before;
    std::uint64_t user_before_us = 0;
    std::uint64_t system_before_us = 0;
    ssize_t small_read = 0;
  };

  // One read; false when the pipe has nothing more for now.
  bool ReadOnce(bool* closed);
  void Take(std::string_view bytes);
  void ReapAll();
  void Advance();
  void UpdateBackpressure();
  void Finish();
  void Record(const StepResult& result);

  // Constant after construction.
  const int control_fd_;
  const std::uint32_t control_owner_;
  Spool* const spool_;
  const Clock* const clock_;
  const std::function<void(const Event&)> emit_;

  LogBudget budget_;
  mask::SecretMasker masker_;
  std::string masked_;
  std::optional<Step> step_;
  std::uint32_t last_step_ = 0;
  std::vector<StepResult> results_;
  std::uint8_t backpressure_ = 0;
  MonoTime next_disk_try_{};
  MonoTime next_read_{};
};

}  // namespace slipway::init
