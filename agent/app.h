#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/caches/cache_store.h"
#include "agent/core/agent_core.h"
#include "agent/core/events.h"
#include "agent/engine_timeout.h"
#include "agent/executor/container_engine.h"
#include "agent/executor/reaper.h"
#include "agent/health/cache_source.h"
#include "agent/health/health_keeper.h"
#include "agent/images/image_keeper.h"
#include "agent/journal/journal.h"
#include "agent/link/channel.h"
#include "agent/link/identity.h"
#include "agent/link/link.h"
#include "agent/link/renewer.h"
#include "agent/networks/network_keeper.h"
#include "agent/options.h"
#include "agent/pool/warm_pool.h"
#include "agent/runner/runner.h"
#include "agent/workspace/work_trees.h"
#include "common/base/time.h"
#include "common/fs/unique_fd.h"
#include "common/git/mirror_cache.h"
#include "common/supervisor/notifier.h"

namespace slipway::agent {

// The parts of slipway-agent and the one thread that runs the core: every event is queued, every
// action carried out in order, and nothing on that thread waits for Docker, git, disk or network.
class App final : public link::LogSource {
 public:
  // Everything up to the point where orders can be taken; the order is numbered in the .cc file.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<App>> Create(Options options);
  ~App() override;
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // What Run may end with.
  enum ExitStatus : int {
    kDone = 0,      // drained, or asked to stop
    kFailed = 1,    // a restart may mend it
    kRefused = 77,  // the farm does not want this agent: EX_NOPERM, no restart mends it
  };

  // Until it is drained, told to stop, or cannot go on; an ExitStatus. Vouches for this loop at the
  // service manager's watchdog.
  [[nodiscard]] int Run(const supervisor::Notifier& notifier);
  // After kRefused: why.
  [[nodiscard]] absl::Status refusal();

  // Takes no new work, finishes what runs, then ends. From any thread, as the two below.
  void RequestDrain();
  // Ends builds, which go elsewhere, and what has not begun of publishes; then ends.
  void RequestHurry();
  // Ends at once. Builds go on in their containers.
  void RequestStop();
  // Ends link and runner. False: threads are still busy with calls that cannot be broken off; the
  // process should end without waiting for them.
  [[nodiscard]] bool Stop();

  // For the link.
  [[nodiscard]] absl::StatusOr<std::size_t> ReadLog(const AttemptKey& key, std::uint64_t offset,
                                                    char* buffer, std::size_t size) override;
  [[nodiscard]] std::vector<link::LogMark> LogMarks(const AttemptKey& key, std::uint64_t begin,
                                                    std::uint64_t end) override;

 private:
  explicit App(Options options);

  [[nodiscard]] absl::Status LockDataDir();
  // `may_wait`: work that lives on is worth a start without the Engine.
  [[nodiscard]] absl::Status OpenEngine(bool may_wait);
  [[nodiscard]] absl::Status OpenNetwork();
  [[nodiscard]] absl::Status OpenWorkspace();
  [[nodiscard]] absl::Status OpenRunner(const std::string& init_binary);
  [[nodiscard]] absl::Status OpenImages();
  void OpenHealth();
  // At the start, when the Engine is back, now and then, and at the end: what was ordered by a
  // process that was killed may come to be after the next one has looked.
  void ReapLeftOvers(Duration timeout = kEngineTimeout);

  void Post(Event event);
  void Carry(std::vector<Action> actions);
  void Fail(const absl::Status& why);
  // The farm does not want this agent (any more). From any thread.
  void Refuse(const absl::Status& why);
  [[nodiscard]] std::string Status() const;

  Options options_;
  const SystemClock clock_;

  // In the order in which they are made; destroyed in the opposite one.
  fs::UniqueFd lock_;
  link::Identity identity_;
  std::unique_ptr<AgentCore> core_;  // confined to the main thread
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<executor::ContainerEngine> engine_;
  int engine_cpus_ = 0;
  std::atomic<bool> engine_answers_ = false;
  std::string engine_root_;
  std::unique_ptr<images::ImageKeeper> images_;
  std::unique_ptr<git::MirrorCache> mirrors_;
  std::unique_ptr<workspace::WorkTrees> trees_;
  std::unique_ptr<caches::CacheStore> build_caches_;
  std::unique_ptr<link::Channels> channels_;
  std::unique_ptr<networks::NetworkKeeper> networks_;
  std::unique_ptr<pool::WarmPool> pool_;
  std::unique_ptr<runner::Runner> runner_;
  std::vector<std::unique_ptr<health::CacheSource>> caches_;
  std::unique_ptr<health::HealthKeeper> health_;
  std::unique_ptr<link::Link> link_;
  std::unique_ptr<link::Renewer> renewer_;

  MonoTime reap_at_;  // confined to the health keeper's thread

  // Confined to the main thread.
  bool connected_ = false;
  bool draining_ = false;

  // Guarded by mu_.
  std::mutex mu_;
  std::condition_variable changed_;
  std::deque<Event> events_;
  std::optional<int> exit_status_;
  absl::Status refusal_;
  std::optional<MonoTime> give_up_at_;  // after a refusal, when deleting takes too long
};

}  // namespace slipway::agent
