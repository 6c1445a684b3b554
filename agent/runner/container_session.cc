#include "agent/runner/container_session.h"

#include <chrono>
#include <csignal>
#include <utility>
#include <variant>
#include <vector>

#include "agent/runner/failures.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;

constexpr auto kCallPatience = 10s;
constexpr auto kConnectPatience = 15s;
constexpr auto kReconnectPatience = 1s;
// Between looks at what is asked of the attempt while nothing happens in the container.
constexpr auto kSlice = 100ms;
// What init may need beyond the grace until it has ended a step.
constexpr auto kKillPatience = 15s;
constexpr int kRemoveTries = 5;
constexpr auto kEnginePause = 1s;
// An Engine that is ending stops its containers first, for which it gives itself this long, and
// answers meanwhile.
constexpr auto kEngineShutdown = 15s;
constexpr auto kEngineLook = 500ms;
constexpr auto kPingPatience = 5s;
// What the Engine notes of a container that ended while the Engine was not there.
constexpr int kEndedUnseen = 255;
// Durable bytes worth telling init.
constexpr std::uint64_t kDurableStep = std::uint64_t{1} << 20;

absl::Status Lost() {
  return MakeError(StatusCode::kNotFound, "CONTAINER_LOST",
                   "the container is gone and left no result");
}

absl::Status NeverBegun() {
  return MakeError(StatusCode::kNotFound, "CONTAINER_LOST",
                   "the order to begin was lost on its way into the container");
}

}  // namespace

ContainerSession::ContainerSession(executor::ContainerEngine& engine, AttemptLog& log,
                                   AttemptControl& control, Options options)
    : engine_(engine), log_(log), control_(control), options_(options) {}

MonoTime ContainerSession::CallDeadline() const { return clock_.Mono() + kCallPatience; }

absl::Status ContainerSession::Create(const executor::ContainerSpec& spec,
                                      std::vector<std::string>* warnings) {
  // As may be one of the pool that the attempt had moved into when the agent died.
  log_.control().ForgetInit();
  // A name that is taken is a left-over of this very attempt.
  SLIPWAY_RETURN_IF_ERROR(
      engine_.Remove(executor::ContainerId(spec.name), true, options_.engine_timeout));
  SLIPWAY_ASSIGN_OR_RETURN(executor::CreatedContainer created,
                           engine_.Create(spec, options_.engine_timeout));
  id_ = created.id;
  *warnings = std::move(created.warnings);
  return absl::OkStatus();
}

absl::Status ContainerSession::Start() {
  times_lost_ = engine_.TimesLost();
  SLIPWAY_RETURN_IF_ERROR(engine_.Start(id_, options_.engine_timeout));
  const absl::Status connected = Reconnect(kConnectPatience);
  if (connected.ok()) return connected;
  const absl::StatusOr<std::string> words = engine_.LogTail(id_, options_.engine_timeout);
  return MakeError(
      StatusCode::kInternal, "INIT_NOT_STARTED",
      "slipway-init does not answer in its new container: " + std::string(connected.message()) +
          (words.ok() && !words->empty() ? "; it said: " + *words : ""));
}

absl::Status ContainerSession::Attach(const executor::ContainerId& id) {
  id_ = id;
  times_lost_ = engine_.TimesLost();
  SLIPWAY_ASSIGN_OR_RETURN(const executor::ContainerState state,
                           engine_.Inspect(id_, options_.engine_timeout));
  if (state.status == executor::ContainerStatus::kCreated) return Start();
  if (state.status != executor::ContainerStatus::kRunning) return Lost();
  return Reconnect(kConnectPatience);
}

absl::Status ContainerSession::Take(const executor::ContainerId& id,
                                    std::unique_ptr<initlink::InitClient> init) {
  id_ = id;
  times_lost_ = engine_.TimesLost();
  init_ = std::move(init);
  told_durable_ = 0;
  SLIPWAY_RETURN_IF_ERROR(init_->OpenLog(CallDeadline()));
  return init_->SetBudget(options_.log_budget_bytes, CallDeadline());
}

absl::Status ContainerSession::Reconnect(Duration patience) {
  SLIPWAY_ASSIGN_OR_RETURN(init_,
                           initlink::InitClient::Connect(log_.control(), clock_.Mono() + patience));
  told_durable_ = init_->hello().durable;
  return init_->SetBudget(options_.log_budget_bytes, CallDeadline());
}

absl::StatusOr<std::optional<StepEnd>> ContainerSession::LookAtRemains(std::uint32_t step) {
  const absl::StatusOr<executor::ContainerState> state =
      engine_.Inspect(id_, options_.engine_timeout);
  const bool gone = state.status().code() == StatusCode::kNotFound;
  const bool ended = state.ok() && state->status != executor::ContainerStatus::kRunning &&
                     state->status != executor::ContainerStatus::kPaused;
  const bool killed_for_memory = state.ok() && state->oom_killed;
  // Read after the look at the container: a result cannot come later than its end.
  const absl::StatusOr<init::StepResult> result = log_.control().ReadResult(step);
  if (result.ok()) {
    return StepEnd{.result = *result,
                   .cause = std::nullopt,
                   .out_of_memory = killed_for_memory || result->oom == init::OomState::kYes};
  }
  if (result.status().code() != StatusCode::kNotFound) return result.status();
  if (ended && killed_for_memory) {
    StepEnd end;
    end.result.step = step;
    end.result.reason = init::StopReason::kSignaled;
    end.result.signal = SIGKILL;
    end.out_of_memory = true;
    return end;
  }
  if (gone || ended) return Lost();
  return std::nullopt;  // it lives, or the Engine cannot say
}

bool ContainerSession::EndStep(std::uint32_t step, Duration grace) {
  if (!kill_at_) kill_at_ = clock_.Mono() + grace + kKillPatience;
  if (init_ == nullptr) return false;
  const absl::Status asked =
      init_->Cancel(step, std::chrono::duration_cast<init::Millis>(grace), CallDeadline());
  if (asked.code() != StatusCode::kUnavailable) return true;
  init_.reset();
  return false;
}

absl::StatusOr<StepEnd> ContainerSession::Await(
    std::uint32_t step, const std::function<std::optional<protocol::Failure>()>& check) {
  bool cancel_told = false;
  bool cause_told = false;
  for (;;) {
    if (control_.leaving()) return absl::CancelledError("the attempt is left");
    const bool anew = init_ == nullptr;
    if (anew && !Reconnect(kReconnectPatience).ok()) {
      init_.reset();
      SLIPWAY_ASSIGN_OR_RETURN(std::optional<StepEnd> end, LookAtRemains(step));
      if (end) {
        end->cause = cause_;
        return *std::move(end);
      }
    }
    if (init_ != nullptr) {
      for (const init::StepResult& done : init_->hello().results) {
        if (done.step != step) continue;
        return StepEnd{
            .result = done, .cause = cause_, .out_of_memory = done.oom == init::OomState::kYes};
      }
      // A new connection ends the old one: what init had not read from it by now, it never will.
      if (anew && init_->hello().step != step) return NeverBegun();
    }
    // Also without a connection: an init that does not react any more ends by the kill below.
    if (!cause_) cause_ = check();
    if (control_.canceled() && !cancel_told) cancel_told = EndStep(step, options_.term_grace);
    if (cause_ && !cause_told) cause_told = EndStep(step, Duration::zero());
    if (kill_at_ && clock_.Mono() >= *kill_at_) {
      kill_at_ = clock_.Mono() + kKillPatience;
      init_.reset();
      const absl::Status killed = engine_.Kill(id_, SIGKILL, options_.engine_timeout);
      if (!killed.ok()) log::Warn("container_kill_failed", {{"why", Describe(killed)}});
    }
    if (init_ == nullptr) continue;
    if (const std::uint64_t durable = log_.durable(); durable >= told_durable_ + kDurableStep) {
      told_durable_ = durable;
      if (!init_->SetDurable(durable, CallDeadline()).ok()) init_.reset();
    }
    if (init_ == nullptr) continue;
    const absl::StatusOr<init::Event> event = init_->WaitEvent(clock_.Mono() + kSlice);
    if (event.ok()) {
      if (const auto* exited = std::get_if<init::StepExited>(&*event)) {
        if (exited->result.step != step) continue;
        return StepEnd{.result = exited->result,
                       .cause = cause_,
                       .out_of_memory = exited->result.oom == init::OomState::kYes};
      }
      if (std::holds_alternative<init::Doorbell>(*event)) log_.Poke();
    } else if (event.status().code() != StatusCode::kDeadlineExceeded) {
      init_.reset();
    }
  }
}

bool ContainerSession::EngineWentAway() {
  const auto state = engine_.Inspect(id_, kPingPatience);
  if (state.ok() && state->status == executor::ContainerStatus::kExited &&
      state->exit_code == kEndedUnseen) {
    return true;
  }
  // It removes none of them: somebody else did.
  const bool removed = state.status().code() == StatusCode::kNotFound;
  const MonoTime give_up = clock_.Mono() + (removed ? Duration::zero() : kEngineShutdown);
  for (;;) {
    if (!engine_.Ping(kPingPatience).ok() || engine_.TimesLost() != times_lost_) return true;
    if (clock_.Mono() >= give_up || !control_.Wait(kEngineLook)) return false;
  }
}

absl::StatusOr<std::string> ContainerSession::MaskText(std::string_view bytes) {
  if (init_ != nullptr) {
    absl::StatusOr<std::string> masked = init_->MaskText(bytes, CallDeadline());
    if (masked.status().code() != StatusCode::kUnavailable) return masked;
  }
  SLIPWAY_RETURN_IF_ERROR(Reconnect(kReconnectPatience));
  return init_->MaskText(bytes, CallDeadline());
}

bool ContainerSession::IsAloneAfter(const StepEnd& end) const {
  const bool by_itself = end.result.reason == init::StopReason::kExited ||
                         end.result.reason == init::StopReason::kSignaled;
  return init_ != nullptr && by_itself && !end.cause && !end.result.left_processes;
}

void ContainerSession::Leave() { init_.reset(); }

absl::Status ContainerSession::TryRemove(Duration timeout) {
  if (id_.value().empty()) return absl::OkStatus();
  absl::Status removed = engine_.Remove(id_, true, timeout);
  if (removed.ok()) id_ = {};
  return removed;
}

absl::Status ContainerSession::Remove() {
  init_.reset();
  if (id_.value().empty()) return absl::OkStatus();
  const MonoTime give_up = clock_.Mono() + options_.engine_patience;
  absl::Status removed;
  for (int i = 0;; ++i) {
    removed = TryRemove(options_.engine_timeout);
    if (removed.ok()) return removed;
    // Somebody else may be removing it, or the Engine is being restarted; a cancel is no reason to
    // leave it alive.
    const bool away = absl::IsUnavailable(removed) || absl::IsDeadlineExceeded(removed);
    if (away ? clock_.Mono() >= give_up : i >= kRemoveTries) return removed;
    const Duration pause = away ? Duration(kEnginePause) : Duration(200ms * (i + 1));
    if (!control_.Wait(pause)) {
      if (control_.leaving()) return removed;
      // Canceled: waits return at once from now on.
      if (i >= kRemoveTries) return removed;
    }
  }
}

}  // namespace slipway::runner
