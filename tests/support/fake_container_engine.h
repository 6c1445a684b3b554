#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "agent/executor/container_engine.h"

namespace slipway::testing {

// A container engine in memory. It holds to the contract of ContainerEngine (tests/contract), runs
// no program, and fails as it is told to. A started container runs until Exit, Kill(SIGKILL),
// Remove or Disappear; PID 1 ignores every other signal, as a program without handlers does.
// Thread-safe.
class FakeContainerEngine final : public executor::ContainerEngine {
 public:
  enum class Op {
    kPing,
    kInspectImage,
    kPullImage,
    kRemoveImage,
    kCommitImage,
    kSaveLayer,
    kLoadLayer,
    kListReplacedImages,
    kEnsureNetwork,
    kCreate,
    kStart,
    kInspect,
    kWait,
    kRename,
    kKill,
    kRemove,
    kList,
    kLogTail,
  };
  struct Call {
    Op op;
    std::string subject;  // name of image, network or created container; id of a container
    int signal = 0;       // of kKill
    bool force = false;   // of kRemove
  };
  // Called without any lock, on the caller's thread; may call the engine back.
  using StartHook =
      std::function<void(const executor::ContainerId&, const executor::ContainerSpec&)>;
  using KillHook = std::function<void(const executor::ContainerId&, int signal)>;

  // What the machine has. A fresh fake has no image and no network.
  void AddImage(const std::string& name, executor::ImageInfo info = {});
  // What the registry has; a pull makes it AddImage.
  void AddRemoteImage(const std::string& name, executor::ImageInfo info = {});
  // An image whose name went to a newer one.
  void AddReplacedImage(const std::string& id, const std::string& label_key);
  [[nodiscard]] bool HasImage(const std::string& name) const;
  void AddForeignNetwork(const std::string& name);
  // A container that somebody else made: no rules for its labels. It runs.
  executor::ContainerId AddContainer(const std::string& name, executor::Labels labels);
  void AllowHostNetwork();

  // The next call of `op` gives `status` and does nothing.
  void FailNext(Op op, absl::Status status);
  // The next call of `op` takes effect, but its answer never comes: kDeadlineExceeded, at once.
  void LoseNextAnswer(Op op);
  // Every call fails as it does without an Engine, until it is told `false`.
  void SetDown(bool down);
  // Stand-ins for the program inside.
  void OnStart(StartHook hook);
  void OnKill(KillHook hook);

  // REQUIRES: the container is there.
  void Exit(const executor::ContainerId& id, int exit_code, bool oom_killed = false);
  void Print(const executor::ContainerId& id, const std::string& text);
  // Somebody removed it behind the agent's back.
  void Disappear(const executor::ContainerId& id);

  [[nodiscard]] std::vector<Call> calls() const;
  [[nodiscard]] std::vector<executor::ContainerId> containers() const;
  // REQUIRES: the container is there.
  [[nodiscard]] executor::ContainerSpec spec(const executor::ContainerId& id) const;

  absl::StatusOr<executor::EngineInfo> Ping(Duration timeout) override;
  absl::StatusOr<executor::ImageInfo> InspectImage(const std::string& name,
                                                   Duration timeout) override;
  absl::Status PullImage(const std::string& name, Duration timeout,
                         const std::stop_token& stop) override;
  absl::Status RemoveImage(const std::string& name, Duration timeout) override;
  absl::Status CommitImage(const executor::ContainerId& id, const std::string& name,
                           const executor::Labels& labels, Duration timeout) override;
  // Its files mean something to this fake alone.
  absl::Status SaveLayer(const std::string& name, const std::string& dir, Duration timeout,
                         const std::stop_token& stop) override;
  absl::Status LoadLayer(const std::string& dir, const std::string& name, Duration timeout,
                         const std::stop_token& stop) override;
  absl::StatusOr<std::vector<std::string>> ListReplacedImages(const std::string& key,
                                                              Duration timeout) override;
  std::uint64_t TimesLost() const override;
  absl::StatusOr<executor::NetworkInfo> EnsureNetwork(const executor::NetworkSpec& spec,
                                                      Duration timeout) override;
  absl::StatusOr<executor::CreatedContainer> Create(const executor::ContainerSpec& spec,
                                                    Duration timeout) override;
  absl::Status Start(const executor::ContainerId& id, Duration timeout) override;
  absl::StatusOr<executor::ContainerState> Inspect(const executor::ContainerId& id,
                                                   Duration timeout) override;
  absl::StatusOr<executor::ContainerState> Wait(const executor::ContainerId& id,
                                                Duration timeout) override;
  absl::Status Rename(const executor::ContainerId& id, const std::string& name,
                      Duration timeout) override;
  absl::Status Kill(const executor::ContainerId& id, int signal, Duration timeout) override;
  absl::Status Remove(const executor::ContainerId& id, bool force, Duration timeout) override;
  absl::StatusOr<std::vector<executor::ContainerSummary>> List(const executor::Labels& labels,
                                                               Duration timeout) override;
  absl::StatusOr<std::string> LogTail(const executor::ContainerId& id, Duration timeout) override;

 private:
  struct Container {
    executor::ContainerSpec spec;
    executor::ContainerState state;
    std::string log;
  };
  struct Fault {
    absl::Status status;  // ok: the answer gets lost
  };

  // The caller of any of these holds mu_.
  // Records the call; an error when it has to fail before it takes effect.
  absl::Status Enter(Call call);
  // An error when the answer of the call that took effect has to get lost.
  absl::Status Leave(Op op);
  std::map<executor::ContainerId, Container>::iterator Lookup(const executor::ContainerId& id);
  absl::StatusOr<Container*> Find(const executor::ContainerId& id);
  executor::ContainerId NextId();
  void Stop(Container& container, int exit_code, bool oom_killed);

  mutable std::mutex mu_;
  std::condition_variable changed_;  // a container stopped or went
  // Guarded by mu_.
  std::map<std::string, executor::ImageInfo> images_;
  std::map<std::string, executor::ImageInfo> remote_images_;
  std::map<std::string, executor::ImageInfo> saved_images_;  // by token
  std::map<std::string, std::string> replaced_images_;       // id → label key
  std::uint64_t times_lost_ = 0;
  // Value of the farm label; empty for a foreign one.
  std::map<std::string, std::string> networks_;
  std::map<executor::ContainerId, Container> containers_;
  std::multimap<Op, Fault> faults_;
  std::vector<Call> calls_;
  StartHook on_start_;
  KillHook on_kill_;
  bool down_ = false;
  bool host_network_ = false;
  int next_number_ = 1;
};

}  // namespace slipway::testing
