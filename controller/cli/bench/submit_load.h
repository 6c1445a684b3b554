#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "controller/cli/client.h"
#include "slipway/v1/task.grpc.pb.h"

namespace slipway::bench {

struct LoadOptions {
  std::string application;
  std::map<std::string, std::string> requirements;
  int tasks = 1;
  // Calls that are under way at once.
  int calls = 32;
  // Tasks per call; more than one: SubmitRuns.
  int batch = 1;
  // Tasks submitted and not yet stored, at most.
  int unfinished = 1000;
  // Tasks per second; 0: as fast as it goes.
  double rate = 0;
};

// When a task was submitted: its call began and its answer came.
struct SubmitTimes {
  MonoTime asked;
  MonoTime answered;
};

// Submits builds, each a run of its own, from callbacks of gRPC: as many calls at once as the
// options say, and no more unfinished tasks than they allow. Thread-safe.
class SubmitLoad {
 public:
  // `client` must outlive the load.
  SubmitLoad(const cli::Client& client, LoadOptions options);
  // Waits for the calls that are under way.
  ~SubmitLoad();
  SubmitLoad(const SubmitLoad&) = delete;
  SubmitLoad& operator=(const SubmitLoad&) = delete;

  void Start();
  // So many tasks more are finished.
  void Stored(std::size_t tasks);
  // Until all tasks are stored. The first error of a submit; kDeadlineExceeded when nothing was
  // stored for `patience`; kCancelled when the user wants to stop.
  [[nodiscard]] absl::Status Wait(Duration patience);

  // By task id. Only after Wait.
  [[nodiscard]] const std::unordered_map<std::string, SubmitTimes>& submitted() const {
    return submitted_;
  }

 private:
  struct Call;
  // Begins what may begin.
  void Pump();
  [[nodiscard]] bool MayBegin() const;  // REQUIRES: mu_
  void Begin(std::unique_ptr<Call> call);
  void Answered(Call& call, const grpc::Status& status);

  const cli::Client& client_;
  const LoadOptions options_;
  const std::string prefix_;  // of request ids
  const SystemClock clock_;

  std::mutex mu_;
  std::condition_variable_any changed_;
  MonoTime started_;
  bool stopped_ = false;
  int asked_ = 0;      // tasks
  int under_way_ = 0;  // calls without an answer
  int callbacks_ = 0;  // that have not returned
  std::size_t stored_ = 0;
  absl::Status failed_;
  std::unordered_map<std::string, SubmitTimes> submitted_;

  std::jthread pace_;
};

}  // namespace slipway::bench
