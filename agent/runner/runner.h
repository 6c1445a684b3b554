#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/core/events.h"
#include "agent/initlink/spool_reader.h"
#include "agent/runner/attempt_context.h"
#include "agent/runner/runner_options.h"

namespace slipway::runner {

// Does what the core orders of attempts: one thread for each that runs, which blocks on git, the
// Engine and slipway-init, and keeps what a later process needs to go on in the attempt's
// directory. Containers outlive this object and the process.
//
// Every order returns at once; answers are events. Orders belong to the agent's main strand; the
// log may be read from any thread.
class Runner {
 public:
  // Makes the directories. What `parts` refers to must outlive the runner.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Runner>> Create(RunnerOptions options,
                                                                      RunnerParts parts);
  // Stops and joins.
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  void Start(const agent::StartAttempt& order);
  void Adopt(const agent::AdoptAttempt& order);
  void Cancel(const AttemptKey& key);
  void Delete(const AttemptKey& key);
  // Takes the secret and wipes where it was.
  void GivePermit(agent::GivePermit& order);
  void DenyPermit(const agent::DenyPermit& order);
  void FreeSpool(const AttemptKey& key, std::uint64_t below);
  // After AttemptDeleted.
  void Forget(const AttemptKey& key);

  // The attempts that have, or may have, anything on this machine. An attempt is among them before
  // anything of it is made. Thread-safe.
  [[nodiscard]] std::set<AttemptKey> Held();
  // Containers of theirs that were made before it was known whose they would be. Reads the disk,
  // and fails as that does.
  [[nodiscard]] absl::StatusOr<std::set<executor::ContainerId>> HeldContainers();

  // kNotFound: no such attempt.
  [[nodiscard]] absl::StatusOr<std::size_t> ReadLog(const AttemptKey& key, std::uint64_t offset,
                                                    char* buffer, std::size_t size);
  [[nodiscard]] std::vector<initlink::TimeMark> LogMarks(const AttemptKey& key, std::uint64_t begin,
                                                         std::uint64_t end);

  // Tells every thread to leave things as they are. False: some have not yet, after `patience`.
  [[nodiscard]] bool Stop(Duration patience);

 private:
  struct Attempt {
    AttemptControl control;
    std::shared_ptr<AttemptLog> log;  // guarded by mu_
    // AttemptContext's was set; the worker's, then the deleter's.
    bool settled = false;
    // Confined to the main strand.
    std::thread worker;
    std::thread deleter;
    bool deleting = false;
  };

  Runner(RunnerOptions options, RunnerParts parts);

  Attempt& Get(const AttemptKey& key);
  void Launch(const agent::AdoptAttempt& order, bool adopt);
  // The thread's work, from opening the log to the event that ends it.
  void Work(Attempt& attempt, const agent::AdoptAttempt& order, bool adopt);
  // What there is to do, with the log open; nullptr: nothing, it has finished. After an error the
  // attempt is as it was, and this may be tried again.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<AttemptContext>> Begin(
      Attempt& attempt, const agent::AdoptAttempt& order, bool adopt);
  void Finish(Attempt& attempt, AttemptContext& context, const agent::AdoptAttempt& order,
              bool adopt);
  void GiveUp(Attempt& attempt, const AttemptKey& key, const absl::Status& why);
  // Whatever there is of the attempt.
  [[nodiscard]] absl::Status RemoveContainers(const AttemptKey& key, Duration timeout);
  // Also when the Engine cannot say.
  [[nodiscard]] bool HasContainer(const AttemptKey& key);
  [[nodiscard]] AttemptEnd RunTask(AttemptContext& context, const agent::AdoptAttempt& order,
                                   bool adopt);
  void RemoveEverything(Attempt& attempt, const AttemptKey& key);
  // Work tree and network are for the next build again. REQUIRES: nothing of the attempt writes.
  // The network of another life of the agent may be another attempt's by now.
  [[nodiscard]] absl::Status GiveBack(const AttemptKey& key);
  [[nodiscard]] std::shared_ptr<AttemptLog> LogOf(const AttemptKey& key);

  // Constant after construction.
  const RunnerOptions options_;
  const RunnerParts parts_;
  const SystemClock clock_;

  // Guarded by mu_: the map's shape and the logs; attempts themselves do not move.
  std::mutex mu_;
  std::condition_variable changed_;
  std::map<AttemptKey, Attempt> attempts_;
  int threads_ = 0;  // that have not returned
  bool stopping_ = false;
};

}  // namespace slipway::runner
