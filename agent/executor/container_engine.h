#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/executor/container_spec.h"
#include "common/base/time.h"

namespace slipway::executor {

struct EngineInfo {
  std::string version;      // "20.10.24"
  std::string api_version;  // the one spoken, "1.41"
  int cgroup_version = 0;   // 1 or 2
  std::string storage_driver;
  int cpus = 0;
  std::int64_t memory_bytes = 0;
  std::string root_dir;  // where images and containers lie on the Engine's machine
};

struct ImageInfo {
  std::string id;  // "sha256:…" of the image's configuration: the same id is the same image
  std::vector<std::string> repo_digests;  // "name@sha256:…", empty for an imported image
  Labels labels;
  std::int64_t size_bytes = 0;
};

// A bridge of Slipway's own, on which containers reach the outside but not each other.
struct NetworkSpec {
  std::string name = "slipway";
  std::string farm;         // value of its kLabelFarm
  std::string subnet = {};  // "10.90.0.0/16"; empty: the Engine chooses
};

struct NetworkInfo {
  std::string id;
  std::string gateway;  // the host's address as the containers see it
};

struct CreatedContainer {
  ContainerId id;
  // What the Engine had to leave out, in its own words ("kernel does not support …"). For the log.
  std::vector<std::string> warnings;
};

enum class ContainerStatus { kCreated, kRunning, kPaused, kExited, kDead };

struct ContainerState {
  ContainerStatus status = ContainerStatus::kCreated;
  int pid = 0;        // of PID 1 on the host; 0 when not running
  int exit_code = 0;  // meaningful in kExited and kDead; 128 + signal when killed
  bool oom_killed = false;
  std::string error;  // the Engine's words when PID 1 could not be started
  std::optional<WallTime> started;
  std::optional<WallTime> finished;
};

struct ContainerSummary {
  ContainerId id;
  std::string name;
  Labels labels;
  ContainerStatus status = ContainerStatus::kCreated;
};

// The machine's container engine: makes, watches and removes containers, and knows nothing of
// tasks. What the agent does with them is the runner's business; which of them are left over is
// the reaper's.
//
// Every call blocks until it has an answer, at most about `timeout`. Containers are detached: they
// outlive this object and the process.
//
// The name of a container serves as its id.
//
// Errors of every call, beside those named there:
//   kUnavailable, NO_DOCKER_ENGINE: nobody answers; nothing was done. Retry later.
//   kUnavailable, ENGINE_CONNECTION_LOST: the answer is missing; the call may have been carried
//     out. Ask with Inspect or List before repeating it.
//   kDeadlineExceeded, ENGINE_TIMEOUT: likewise.
//   kPermissionDenied, ENGINE_SOCKET_DENIED: the agent may not talk to the Engine.
//   kInvalidArgument: an id or name that cannot be one.
//   kInternal: the Engine's own failure, in its words, or an answer that makes no sense.
//
// Thread-safe.
class ContainerEngine {
 public:
  virtual ~ContainerEngine() = default;

  // Whether the Engine lives, and what it can do. kFailedPrecondition, ENGINE_TOO_OLD: it is older
  // than 20.10.
  [[nodiscard]] virtual absl::StatusOr<EngineInfo> Ping(Duration timeout) = 0;

  // kNotFound, IMAGE_MISSING: the machine does not have it. kInvalidArgument: not an image name.
  [[nodiscard]] virtual absl::StatusOr<ImageInfo> InspectImage(const std::string& name,
                                                               Duration timeout) = 0;

  // Fetches an image by its reference from the registry that it names. kNotFound, IMAGE_MISSING:
  // the registry does not have it, or not for this machine. kUnavailable, REGISTRY_UNREACHABLE.
  // kCancelled: `stop` was requested; layers that have arrived stay. kDeadlineExceeded.
  [[nodiscard]] virtual absl::Status PullImage(const std::string& name, Duration timeout,
                                               const std::stop_token& stop) = 0;

  // Takes the name from an image, and deletes the image when it has no other. Ok also when there is
  // none. kAborted, IMAGE_IN_USE: a container was made from it.
  [[nodiscard]] virtual absl::Status RemoveImage(const std::string& name, Duration timeout) = 0;

  // Makes an image of what the container's own file system holds now, mounts left out, and gives it
  // the name; one that had it loses it. Commands, environment and labels are the container's, with
  // `labels` on top. kNotFound: there is no such container.
  [[nodiscard]] virtual absl::Status CommitImage(const ContainerId& id, const std::string& name,
                                                 const Labels& labels, Duration timeout) = 0;

  // Writes what lies over an image's lower layers, its configuration and its last layer, as files
  // into the new directory `dir`. kNotFound, IMAGE_MISSING. kInvalidArgument: it has one layer.
  // kCancelled: `stop` was requested. Needs room for all layers beside `dir` meanwhile.
  [[nodiscard]] virtual absl::Status SaveLayer(const std::string& name, const std::string& dir,
                                               Duration timeout, const std::stop_token& stop) = 0;
  // Makes the image `name` from such a directory: the same, with the same id. kInvalidArgument: it
  // is none, or the lower layers are not here. kCancelled. Writes into `dir` and a file beside it.
  [[nodiscard]] virtual absl::Status LoadLayer(const std::string& dir, const std::string& name,
                                               Duration timeout, const std::stop_token& stop) = 0;

  // Ids of the images that have lost their last name to a newer one and carry the label `key`.
  [[nodiscard]] virtual absl::StatusOr<std::vector<std::string>> ListReplacedImages(
      const std::string& key, Duration timeout) = 0;

  // Makes the network unless it is there already. kFailedPrecondition, NETWORK_NOT_OURS: another
  // network has that name, or it lets containers talk to each other; it is left as it is.
  [[nodiscard]] virtual absl::StatusOr<NetworkInfo> EnsureNetwork(const NetworkSpec& spec,
                                                                  Duration timeout) = 0;

  // kAlreadyExists, CONTAINER_NAME_TAKEN. kNotFound, IMAGE_MISSING. kInvalidArgument: the
  // specification, by Validate or by the Engine (a bind source that is not there, more CPUs than
  // the machine has). kPermissionDenied, HOST_NETWORK_REFUSED: the operator did not opt in.
  [[nodiscard]] virtual absl::StatusOr<CreatedContainer> Create(const ContainerSpec& spec,
                                                                Duration timeout) = 0;

  // Ok also when it runs already. kNotFound: there is none. kInvalidArgument or kInternal with
  // CONTAINER_START_FAILED: its program could not be started; the container stays, kCreated.
  [[nodiscard]] virtual absl::Status Start(const ContainerId& id, Duration timeout) = 0;

  // kNotFound: there is none.
  [[nodiscard]] virtual absl::StatusOr<ContainerState> Inspect(const ContainerId& id,
                                                               Duration timeout) = 0;

  // Waits until the container does not run, and gives its last state; at once for one that never
  // ran. kNotFound: there is none; one that is removed meanwhile gives this or its last state.
  // kDeadlineExceeded: it runs still; a caller that must stay interruptible waits in slices, which
  // cost nothing.
  [[nodiscard]] virtual absl::StatusOr<ContainerState> Wait(const ContainerId& id,
                                                            Duration timeout) = 0;

  // Gives the container another name. kAlreadyExists, CONTAINER_NAME_TAKEN. kNotFound.
  [[nodiscard]] virtual absl::Status Rename(const ContainerId& id, const std::string& name,
                                            Duration timeout) = 0;

  // Sends a signal to PID 1. kAborted, CONTAINER_NOT_RUNNING: it does not run. kNotFound.
  [[nodiscard]] virtual absl::Status Kill(const ContainerId& id, int signal, Duration timeout) = 0;

  // Removes the container and the volumes its image asked for; `force` kills it first. Ok also when
  // there is none. kAborted: it runs and `force` is false, or somebody is removing it right now.
  [[nodiscard]] virtual absl::Status Remove(const ContainerId& id, bool force,
                                            Duration timeout) = 0;

  // The containers, running or not, that carry all of `labels`.
  [[nodiscard]] virtual absl::StatusOr<std::vector<ContainerSummary>> List(const Labels& labels,
                                                                           Duration timeout) = 0;

  // The end of what PID 1 itself printed, at most kMaxLogBytes: for diagnostics, not for build
  // output, which never passes here. kNotFound.
  [[nodiscard]] virtual absl::StatusOr<std::string> LogTail(const ContainerId& id,
                                                            Duration timeout) = 0;
  static constexpr std::size_t kMaxLogBytes = 64 * 1024;

  // Rises whenever the Engine is found to have gone away since an earlier call: it was restarted,
  // or is about to be. Between two calls that it answered, an equal number means that it lived all
  // the time.
  [[nodiscard]] virtual std::uint64_t TimesLost() const = 0;
};

}  // namespace slipway::executor
