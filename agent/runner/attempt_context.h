#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/artifacts/artifact_sink.h"
#include "agent/artifacts/artifact_source.h"
#include "agent/caches/cache_store.h"
#include "agent/core/events.h"
#include "agent/executor/container_engine.h"
#include "agent/networks/network_keeper.h"
#include "agent/pool/warm_pool.h"
#include "agent/runner/attempt_control.h"
#include "agent/runner/attempt_log.h"
#include "agent/runner/container_plan.h"
#include "agent/runner/container_session.h"
#include "agent/runner/progress.h"
#include "agent/runner/runner_options.h"
#include "agent/runner/task_spec.h"
#include "agent/workspace/work_trees.h"
#include "common/base/time.h"
#include "common/crypto/repository_credential.h"
#include "common/git/mirror_cache.h"
#include "common/mask/secret_masker.h"
#include "common/protocol/messages.h"

namespace slipway::runner {

// What attempts work with. Everything outlives the runner and is thread-safe.
struct RunnerParts {
  executor::ContainerEngine& engine;
  int engine_cpus = 0;
  // The image, made present when it can be; `pulling` is called before that takes its time.
  std::function<absl::StatusOr<executor::ImageInfo>(
      const std::string& image, const std::function<void()>& pulling, const std::stop_token& stop)>
      ensure_image;
  // The image, made by `make` when it is missing.
  std::function<absl::StatusOr<executor::ImageInfo>(
      const std::string& image, const std::function<absl::Status(const std::stop_token&)>& make,
      const std::stop_token& stop)>
      make_image;
  // Where a prepared image is that another agent has shared, and the word that one is there now.
  // Empty: none are shared.
  std::function<absl::StatusOr<std::optional<Sha256Digest>>(const AttemptKey&,
                                                            const std::string& name)>
      find_image = {};
  std::function<absl::Status(const AttemptKey&, const std::string& name,
                             const Sha256Digest& manifest)>
      share_image = {};
  networks::NetworkKeeper& networks;
  pool::WarmPool& pool;
  git::MirrorCache& mirrors;
  workspace::WorkTrees& trees;
  caches::CacheStore& caches;
  std::function<absl::StatusOr<TaskSpec>(std::string_view)> parse_spec;
  // Asks the controller for what opens the repository at this URL; blocks.
  std::function<absl::StatusOr<crypto::RepositoryCredential>(const AttemptKey&,
                                                             const std::string& repository)>
      repository_credential = {};
  std::function<std::unique_ptr<artifacts::ArtifactSink>(const AttemptKey&)> make_sink;
  std::function<std::unique_ptr<artifacts::ArtifactSource>(const AttemptKey&)> make_source;
  // Takes an event for the core; only queues.
  std::function<void(agent::Event)> post;
};

// What became of an attempt's thread: a result without its log summary, nothing to be found of a
// container that must have been there, or it was told to leave.
struct Vanished {
  // Nothing of it is alive, as the Engine says.
  bool ended = false;
};
struct Left {};
using AttemptEnd = std::variant<protocol::AttemptResult, Vanished, Left>;

// One attempt on its thread: its orders, its log, its steps. Confined to that thread.
class AttemptContext {
 public:
  AttemptContext(const RunnerOptions& options, const RunnerParts& parts, AttemptKey key,
                 TaskSpec task, AttemptControl& control, AttemptLog& log, Progress progress);

  const RunnerOptions& options;
  const RunnerParts& parts;
  const AttemptKey key;
  const TaskSpec task;
  const AttemptPaths paths;
  AttemptControl& control;
  AttemptLog& log;
  const SystemClock clock;
  Progress progress;

  // Since when slipway-init is alone in the container and waits, because the step has ended:
  // nothing of the attempt writes any more, and the container may stay for RunnerOptions::linger.
  std::optional<MonoTime> settled;

  [[nodiscard]] absl::Status Save();

  // From now on the secret is shown neither in the farm's lines of the log nor in steps.
  void Hide(std::string_view secret);

  // A line of the farm's own in the log. REQUIRES: no step runs in a container of the attempt. A
  // log that cannot be written shows when it is sealed.
  void Say(std::string_view text);
  // The image for the container, pulled when it is missing and may be.
  [[nodiscard]] absl::StatusOr<executor::ImageInfo> EnsureImage(const std::string& image);
  // The failure as people read it in the log.
  void SayFailure(const protocol::Failure& failure);

  // Steps follow each other; beginning one that was begun before a restart repeats the report.
  void BeginStep(std::uint32_t number, std::string_view name, std::optional<WallTime> at = {});
  void EndStep(std::string_view detail);
  // No step open: nothing.
  void FailStep(std::string_view detail);

  // Sleeps for those who retry; false: stop.
  [[nodiscard]] bool Wait(Duration duration) { return control.Wait(duration); }

  [[nodiscard]] ContainerSession::Options SessionOptions() const;

 private:
  void Report(protocol::StepState state, std::string_view detail, WallTime at);

  mask::SecretMasker masker_;
  std::uint32_t step_ = 0;
  std::string step_name_;
};

// Directories that the step may write to, made and given to it; and one it may only read.
[[nodiscard]] absl::Status MakeStepDirectory(const std::string& path, std::uint32_t uid,
                                             std::uint32_t gid);
// A small regular file of a directory that a container could write to: never follows a link.
// nullopt: there is none. kInvalidArgument: something else is there, or it is too large.
[[nodiscard]] absl::StatusOr<std::optional<std::string>> ReadHostileFile(
    const std::string& directory, const std::string& name, std::size_t max_bytes);

// "12.3 s", "85 ms"
[[nodiscard]] std::string HumanDuration(Duration duration);
// "1 file", "2 files"
[[nodiscard]] std::string Counted(std::uint64_t number, std::string_view noun);

}  // namespace slipway::runner
