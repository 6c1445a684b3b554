#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/executor/container_engine.h"
#include "agent/init/protocol.h"
#include "agent/initlink/init_client.h"
#include "agent/runner/attempt_control.h"
#include "agent/runner/attempt_log.h"
#include "common/protocol/failure.h"

namespace slipway::runner {

// How a step ended.
struct StepEnd {
  init::StepResult result;
  // Why the agent ended it, when it did.
  std::optional<protocol::Failure> cause;
  // The kernel took a process for want of memory.
  bool out_of_memory = false;
};

// The container of one attempt and the slipway-init in it, for the thread of that attempt. Losing
// the object stops nothing: containers are removed by Remove alone. Everything referred to must
// outlive it. Confined to one thread.
class ContainerSession {
 public:
  struct Options {
    Duration engine_timeout = std::chrono::seconds(60);
    Duration engine_patience = std::chrono::minutes(5);
    Duration term_grace = std::chrono::seconds(10);
    std::uint64_t log_budget_bytes = std::uint64_t{256} << 20;
  };
  ContainerSession(executor::ContainerEngine& engine, AttemptLog& log, AttemptControl& control,
                   Options options);

  // Makes the container, not running; a left-over of the same name is removed before. What the
  // Engine warned of is in `warnings`.
  [[nodiscard]] absl::Status Create(const executor::ContainerSpec& spec,
                                    std::vector<std::string>* warnings);
  // Starts it and connects to its slipway-init.
  [[nodiscard]] absl::Status Start();
  // One made earlier, by its id. kNotFound: it is not running; nothing can be said to it.
  [[nodiscard]] absl::Status Attach(const executor::ContainerId& id);
  // One that waited for an attempt, with the connection to its slipway-init, whose log has come.
  [[nodiscard]] absl::Status Take(const executor::ContainerId& id,
                                  std::unique_ptr<initlink::InitClient> init);

  [[nodiscard]] const executor::ContainerId& id() const { return id_; }
  // After Start or Attach.
  [[nodiscard]] initlink::InitClient& init() { return *init_; }
  [[nodiscard]] MonoTime CallDeadline() const;

  // Until step `step` has ended, asking `check` several times a second; a failure it gives ends the
  // step at once. A cancel ends it with TERM and KILL.
  // kCancelled: the thread is to leave; kNotFound, CONTAINER_LOST: neither container nor result, or
  // a container in which the step was never begun.
  [[nodiscard]] absl::StatusOr<StepEnd> Await(
      std::uint32_t step, const std::function<std::optional<protocol::Failure>()>& check);

  // Why the agent ended the step, when it did: also after an Await that gave an error, because a
  // slipway-init that does not react has to be killed with its container and leaves no result.
  [[nodiscard]] const std::optional<protocol::Failure>& cause() const { return cause_; }

  // Whether the Docker Engine went away since the container was started or taken up: then it took
  // the container with it. Asks the Engine, and waits some seconds for one that may just be ending.
  [[nodiscard]] bool EngineWentAway();

  // `bytes` with the masks of the container's secrets, which slipway-init alone still knows after a
  // restart of the agent. An error: the container is gone, and the masks with it.
  [[nodiscard]] absl::StatusOr<std::string> MaskText(std::string_view bytes);

  // Whether slipway-init has said that the step ended by itself and that it is alone since then.
  [[nodiscard]] bool IsAloneAfter(const StepEnd& end) const;
  // Says nothing more to the container, which may stay for a while. REQUIRES: IsAloneAfter its last
  // step.
  void Leave();
  // One try to remove it, of at most `timeout`. Ok when there is none.
  [[nodiscard]] absl::Status TryRemove(Duration timeout);
  // One that an earlier process of the agent made, so that Remove finds it.
  void Know(const executor::ContainerId& id) { id_ = id; }

  // Kills and removes the container. Ok when there is none. An Engine that is away or does not
  // answer is waited for up to `engine_patience`.
  [[nodiscard]] absl::Status Remove();

 private:
  // What is known without init: the result file, else whether the container lives at all.
  [[nodiscard]] absl::StatusOr<std::optional<StepEnd>> LookAtRemains(std::uint32_t step);
  [[nodiscard]] absl::Status Reconnect(Duration patience);
  // Has the step ended by init, and by a kill of the container when that takes too long. True: init
  // was told.
  bool EndStep(std::uint32_t step, Duration grace);

  executor::ContainerEngine& engine_;
  AttemptLog& log_;
  AttemptControl& control_;
  const Options options_;
  const SystemClock clock_;

  executor::ContainerId id_;
  std::uint64_t times_lost_ = 0;  // of the Engine, before the container was started or taken up
  std::unique_ptr<initlink::InitClient> init_;
  std::uint64_t told_durable_ = 0;
  std::optional<MonoTime> kill_at_;
  std::optional<protocol::Failure> cause_;
};

}  // namespace slipway::runner
