#include "agent/init/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace slipway::init {
namespace {

constexpr std::size_t kReadSize = std::size_t{256} << 10;
// A read that brings less than this part of what the pipe can hold is followed by a gap, so that a
// chatty step does not wake us for every line and a fast one is read in large pieces.
constexpr int kSmallReadPart = 8;
constexpr Duration kSmallReadGap = std::chrono::milliseconds(1);
constexpr Duration kDiskRetry = std::chrono::milliseconds(200);

char read_buffer[kReadSize];

bool NobodyLeft() { return kill(-1, 0) != 0 && errno == ESRCH; }

void ChildrenCpu(std::uint64_t* user_us, std::uint64_t* system_us) {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto micros = [](const timeval& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_usec);
  };
  *user_us = micros(usage.ru_utime);
  *system_us = micros(usage.ru_stime);
}

std::string InvalidSpec(const StepSpec& spec, std::uint32_t control_owner) {
  const auto has_nul = [](const std::string& s) { return s.find('\0') != std::string::npos; };
  if (spec.step == 0) return "steps count from 1";
  if (spec.argv.empty() || spec.argv.front().empty()) return "no program to run";
  if (spec.cwd.empty() || spec.cwd.front() != '/') return "the working directory must be absolute";
  if (has_nul(spec.cwd) || std::any_of(spec.argv.begin(), spec.argv.end(), has_nul) ||
      std::any_of(spec.env.begin(), spec.env.end(), has_nul)) {
    return "a NUL byte in arguments, environment or directory";
  }
  if (spec.uid == control_owner) return "a step may not run as the owner of the control directory";
  constexpr std::uint32_t kNoId = 0xffffffff;
  if (spec.uid == kNoId || spec.gid == kNoId) return "4294967295 is not a user or group";
  return {};
}

Supervisor::Refusal NoLog() { return {AckCode::kInvalid, "the log was not opened yet"}; }

}  // namespace

Supervisor::Supervisor(int control_fd, std::uint32_t control_owner, Spool* spool,
                       const Clock* clock, std::function<void(const Event&)> emit)
    : control_fd_(control_fd),
      control_owner_(control_owner),
      spool_(spool),
      clock_(clock),
      emit_(std::move(emit)) {}

Supervisor::Refusal Supervisor::Run(const StepSpec& spec) {
  if (spec.step != 0 && spec.step <= last_step_) {
    return {AckCode::kAlreadyExists, "step " + std::to_string(spec.step) + " was started before"};
  }
  if (step_) return {AckCode::kBusy, "step " + std::to_string(last_step_) + " is running"};
  if (std::string why = InvalidSpec(spec, control_owner_); !why.empty()) {
    return {AckCode::kInvalid, std::move(why)};
  }
  if (!spool_->is_open()) return NoLog();
  ResultFile file;
  if (Problem p = file.Prepare(control_fd_, spec.step); !p.empty()) return {AckCode::kIoError, p};

  StepResult result;
  result.step = spec.step;
  result.spool_begin = spool_->end();
  result.start_unix_us = ToUnixMicros(clock_->Wall());
  last_step_ = spec.step;
  const auto oom_before = ReadOomKills();
  Launched launched = Launch(spec);
  const MonoTime now = clock_->Mono();
  step_.emplace(Step{spec, StepCore(spec, now), launched.pid, std::move(launched.output),
                     std::move(file), std::move(result), 0, oom_before, 0, 0, 0});
  ChildrenCpu(&step_->user_before_us, &step_->system_before_us);
  if (step_->output.valid()) {
    step_->small_read = fcntl(step_->output.get(), F_GETPIPE_SZ) / kSmallReadPart;
  }
  if (!launched.problem.empty()) {
    step_->result.reason = launched.too_late ? StopReason::kTooLate : StopReason::kStartFailed;
    step_->result.error = launched.problem.substr(0, 4096);
    step_->core.OnChildExited(false, now);
    step_->core.OnNobodyLeft();
  } else {
    emit_(StepStarted{spec.step, static_cast<std::uint32_t>(launched.pid)});
  }
  return {};
}

Supervisor::Refusal Supervisor::SetMasks(const std::vector<std::string>& secrets) {
  if (step_) return {AckCode::kBusy, "masks change between steps only"};
  masker_ = mask::SecretMasker(secrets);
  return {};
}

Supervisor::Refusal Supervisor::WriteSecret(const init::WriteSecret& secret) {
  if (step_) return {AckCode::kBusy, "secrets are written between steps only"};
  if (secret.uid == control_owner_) {
    return {AckCode::kInvalid, "a secret may not belong to the owner of the control directory"};
  }
  WriteSecretOutcome outcome = WriteSecretFile(secret);
  return {outcome.code, std::move(outcome.problem)};
}

Supervisor::Refusal Supervisor::AppendLog(std::string_view bytes) {
  if (step_) return {AckCode::kBusy, "the log takes other words between steps only"};
  if (bytes.size() > kMaxAppendLog) return {AckCode::kInvalid, "more than 64 KiB at once"};
  if (!spool_->is_open()) return NoLog();
  if (!spool_->Ready()) return {AckCode::kIoError, "no room for the log"};
  spool_->Append(masker_.Mask(bytes), ToUnixMicros(clock_->Wall()));
  emit_(Doorbell{spool_->end()});
  return {};
}

Supervisor::Refusal Supervisor::MaskText(std::string_view bytes, std::string* masked) const {
  if (bytes.size() > kMaxMaskText) return {AckCode::kInvalid, "more than 256 KiB at once"};
  *masked += masker_.Mask(bytes);
  return {};
}

Supervisor::Refusal Supervisor::CancelStep(std::uint32_t step, Millis grace) {
  if (!step_ || step_->spec.step != step) {
    return {AckCode::kNotFound, "step " + std::to_string(step) + " does not run"};
  }
  CancelAny(grace);
  return {};
}

void Supervisor::CancelAny(Millis grace) {
  if (!step_) return;
  step_->core.OnCancel(grace, clock_->Mono());
  Advance();
}

void Supervisor::SetDurable(std::uint64_t offset) {
  budget_.SetDurable(offset, spool_->end());
  UpdateBackpressure();
}

void Supervisor::SetBudget(std::uint64_t bytes) {
  budget_.SetBytes(bytes);
  UpdateBackpressure();
}

Hello Supervisor::Describe() const {
  Hello hello;
  if (step_) {
    hello.state = step_->core.ending() ? RunState::kEnding : RunState::kRunning;
    hello.step = step_->spec.step;
    hello.pid = static_cast<std::uint32_t>(std::max(step_->pid, 0));
  }
  hello.spool_end = spool_->end();
  hello.durable = budget_.durable();
  hello.budget = budget_.bytes();
  hello.backpressure = backpressure_;
  hello.results = results_;
  return hello;
}

int Supervisor::output_fd() {
  if (!step_ || !step_->output.valid() || backpressure_ != 0) return -1;
  return clock_->Mono() >= next_read_ ? step_->output.get() : -1;
}

void Supervisor::Take(std::string_view bytes) {
  const std::int64_t now_us = ToUnixMicros(clock_->Wall());
  if (masker_.empty()) {
    spool_->Append(bytes, now_us);
    return;
  }
  masked_.clear();
  masker_.Feed(bytes, &masked_);
  spool_->Append(masked_, now_us);
}

bool Supervisor::ReadOnce(bool* closed) {
  ssize_t n;
  do {
    n = read(step_->output.get(), read_buffer, kReadSize);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return false;
  if (n == 0) {
    *closed = true;
    return false;
  }
  Take({read_buffer, static_cast<std::size_t>(n)});
  if (n < step_->small_read) next_read_ = clock_->Mono() + kSmallReadGap;
  return true;
}

void Supervisor::OnOutputReady() {
  if (!step_ || !step_->output.valid()) return;
  const std::uint64_t before = spool_->end();
  bool closed = false;
  if (ReadOnce(&closed)) step_->core.OnOutput(clock_->Mono());
  if (closed) {
    step_->output.Reset();
    step_->core.OnPipeClosed(clock_->Mono());
  }
  if (spool_->end() != before) emit_(Doorbell{spool_->end()});
  UpdateBackpressure();
}

void Supervisor::UpdateBackpressure() {
  if (step_ && step_->core.over()) return;  // Finish knows better
  std::uint8_t flags = 0;
  if (step_ && step_->output.valid()) {
    if (budget_.Full(spool_->end())) flags |= kBudgetFull;
    const MonoTime now = clock_->Mono();
    if ((backpressure_ & kDiskFull) != 0 && now < next_disk_try_) {
      flags |= kDiskFull;
    } else if (!spool_->Ready()) {
      flags |= kDiskFull;
      next_disk_try_ = now + kDiskRetry;
    }
    step_->core.SetReading(flags == 0, now);
  }
  if (flags == backpressure_) return;
  backpressure_ = flags;
  emit_(Backpressure{flags});
}

void Supervisor::ReapAll() {
  for (;;) {
    int status = 0;
    rusage usage{};
    const pid_t pid = wait4(-1, &status, WNOHANG, &usage);
    if (pid <= 0) return;
    if (!step_) continue;
    const auto rss = static_cast<std::uint64_t>(std::max(usage.ru_maxrss, 0L));
    step_->result.max_rss_kib = std::max(step_->result.max_rss_kib, rss);
    if (pid == step_->pid) {
      step_->wait_status = status;
      step_->core.OnChildExited(WIFSIGNALED(status), clock_->Mono());
    }
  }
}

void Supervisor::OnChildSignal() {
  ReapAll();
  Tick();
}

void Supervisor::Tick() {
  if (!step_) return;
  UpdateBackpressure();
  Advance();
  if (step_->core.over()) Finish();
}

void Supervisor::Advance() {
  if (step_->core.ending()) {
    ReapAll();
    if (NobodyLeft()) step_->core.OnNobodyLeft();
  }
  switch (step_->core.Advance(clock_->Mono())) {
    case StepCore::Action::kNone: break;
    case StepCore::Action::kTerm: kill(-1, SIGTERM); break;
    case StepCore::Action::kKill: kill(-1, SIGKILL); break;
  }
}

void Supervisor::Finish() {
  // Whoever wrote is gone (or hopeless): what the pipe still holds is bounded by its size.
  bool closed = false;
  if (step_->output.valid()) {
    while (ReadOnce(&closed)) {
    }
    step_->output.Reset();
  }
  masked_.clear();
  masker_.Flush(&masked_);
  spool_->Append(masked_, ToUnixMicros(clock_->Wall()));
  if (!spool_->FlushBacklog()) {
    next_disk_try_ = clock_->Mono() + kDiskRetry;
    if ((backpressure_ & kDiskFull) == 0) {
      backpressure_ |= kDiskFull;
      emit_(Backpressure{backpressure_});
    }
    return;
  }
  if (Problem p = spool_->Sync(); !p.empty()) fprintf(stderr, "slipway-init: %s\n", p.c_str());

  StepResult& r = step_->result;
  if (r.reason != StopReason::kStartFailed && r.reason != StopReason::kTooLate) {
    r.reason = step_->core.reason();
    if (!step_->core.child_exited()) {
      r.signal = SIGKILL;
    } else if (WIFSIGNALED(step_->wait_status)) {
      r.signal = WTERMSIG(step_->wait_status);
    } else {
      r.exit_code = WEXITSTATUS(step_->wait_status);
    }
  }
  r.left_processes = step_->core.left_processes();
  r.spool_end = spool_->end();
  ChildrenCpu(&r.user_us, &r.system_us);
  r.user_us -= step_->user_before_us;
  r.system_us -= step_->system_before_us;
  r.end_unix_us = ToUnixMicros(clock_->Wall());
  if (const auto oom_after = ReadOomKills(); oom_after && step_->oom_before) {
    r.oom = *oom_after > *step_->oom_before ? OomState::kYes : OomState::kNo;
  }
  if (Problem p = step_->file.Commit(r); !p.empty())
    fprintf(stderr, "slipway-init: %s\n", p.c_str());
  Record(r);
  step_.reset();
  UpdateBackpressure();
  emit_(StepExited{results_.back()});
}

void Supervisor::Record(const StepResult& result) {
  if (results_.size() == kMaxHelloResults) results_.erase(results_.begin());
  results_.push_back(result);
}

MonoTime Supervisor::NextWake() const {
  if (!step_) return MonoTime::max();
  MonoTime wake = step_->core.NextWake();
  if (step_->core.over()) wake = next_disk_try_;
  if ((backpressure_ & kDiskFull) != 0) wake = std::min(wake, next_disk_try_);
  if (step_->output.valid() && backpressure_ == 0 && next_read_ > clock_->Mono()) {
    wake = std::min(wake, next_read_);
  }
  return wake;
}

bool Supervisor::KillEverybody() {
  kill(-1, SIGKILL);
  ReapAll();
  return NobodyLeft();
}

}  // namespace slipway::init
