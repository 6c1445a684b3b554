#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/base/time.h"
#include "common/loghash/segment_hasher.h"
#include "controller/cli/client.h"
#include "slipway/v1/task.grpc.pb.h"

namespace slipway::bench {

// One viewer of a log, over a connection of its own: follows it to its end and hashes what comes.
// Thread-safe.
class LogReader {
 public:
  // `changed` is called from any thread at the first bytes and at the end; must not block, nor
  // destroy the reader.
  LogReader(std::unique_ptr<cli::Client> client, std::string task, std::function<void()> changed);
  // Ends the call and waits for that.
  ~LogReader();
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  struct State {
    std::uint64_t bytes = 0;
    MonoTime last_bytes_at;
    bool over = false;
    // Once over.
    absl::Status status;
    bool complete = false;  // says the controller
    Sha256Digest root;
  };
  [[nodiscard]] State state() const;
  // How long each line with a stamp took from its print to this reader.
  [[nodiscard]] std::vector<Duration> TakeLatencies();

 private:
  class Call;
  void Take(const v1::ReadLogResponse& message);
  void NoteLines(std::string_view data, MonoTime now);

  const std::unique_ptr<cli::Client> client_;
  const std::string task_;
  const std::function<void()> changed_;
  const SystemClock clock_;

  mutable std::mutex mu_;
  std::condition_variable over_;
  State state_;
  absl::Status wrong_;  // a message that cannot be
  loghash::SegmentHasher hasher_;
  std::string line_;  // the beginning of one
  std::vector<Duration> latencies_;

  std::unique_ptr<Call> call_;
};

}  // namespace slipway::bench
