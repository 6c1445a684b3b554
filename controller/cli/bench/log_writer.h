#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "common/loghash/segment_hasher.h"
#include "controller/cli/client.h"
#include "slipway/v1/agent.grpc.pb.h"

namespace slipway::bench {

// What each mock attempt prints, behind one line that says that it is there.
struct LogPlan {
  // As fast as the controller takes it; not with `lines`.
  std::uint64_t bytes = 0;
  // So many lines, each with the time it was printed at, and sent at once.
  int lines = 0;
  double lines_per_s = 1;
};

// A line of a LogPlan with the time it was printed at, and that time out of it; nothing: the line
// has none. Without the newline. Pure functions.
[[nodiscard]] std::string StampLine(MonoTime now);
[[nodiscard]] std::optional<MonoTime> StampOf(std::string_view line);

// Prints the log of one attempt over the agents' stream, on a thread of its own. Thread-safe.
class LogWriter {
 public:
  // Opens the stream and sends the first line. `stub` must outlive the writer; `changed` is called
  // from its thread when the stream is open, at the end, and after an error.
  LogWriter(v1::AgentService::Stub& stub, v1::AttemptRef ref, const LogPlan& plan,
            std::function<void()> changed);
  // Ends the stream, whatever was sent.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Lets it print the plan.
  void Go();

  struct State {
    bool open = false;
    absl::Status failed;
    // Once everything is durable at the controller.
    std::optional<v1::LogSummary> whole;
    MonoTime durable_at;
  };
  [[nodiscard]] State state() const;

 private:
  using Stream = grpc::ClientReaderWriter<v1::AppendLogRequest, v1::AppendLogResponse>;

  [[nodiscard]] absl::Status Print();
  [[nodiscard]] absl::Status Send(Stream& stream, std::string_view data);
  [[nodiscard]] absl::Status SendBytes(Stream& stream);
  [[nodiscard]] absl::Status SendLines(Stream& stream);
  void TakeAcks(Stream& stream);
  // Until at most `behind` bytes are not durable.
  [[nodiscard]] absl::Status WaitDurable(std::uint64_t behind);

  v1::AgentService::Stub& stub_;
  const v1::AttemptRef ref_;
  const LogPlan plan_;
  const std::function<void()> changed_;
  const SystemClock clock_;
  grpc::ClientContext context_;
  loghash::SegmentHasher hasher_;
  std::uint64_t sent_ = 0;

  mutable std::mutex mu_;
  std::condition_variable progress_;
  bool go_ = false;
  bool stopped_ = false;
  bool acks_over_ = false;
  std::uint64_t durable_ = 0;
  State state_;

  std::thread thread_;
};

// The writers of all attempts of a load. Thread-safe.
class LogWriters {
 public:
  explicit LogWriters(LogPlan plan) : plan_(plan) {}
  ~LogWriters() { Stop(); }

  // As FarmOptions::log: begins to write the first time it is asked.
  [[nodiscard]] std::optional<v1::LogSummary> LogOf(v1::AgentService::Stub& stub,
                                                    const v1::AttemptRef& ref,
                                                    std::function<void()> again);
  // Until `count` streams are open. The first error of any; kDeadlineExceeded after `patience`.
  [[nodiscard]] absl::Status WaitOpen(const cli::Client& client, std::size_t count,
                                      Duration patience);
  void Go();
  // The first error of any.
  [[nodiscard]] absl::Status status() const;
  // By task; only those that are whole.
  [[nodiscard]] std::map<std::string, LogWriter::State> whole() const;
  // Ends all streams; none begins. Before the agents die.
  void Stop();

 private:
  const LogPlan plan_;

  mutable std::mutex mu_;
  std::condition_variable_any changed_;
  bool stopped_ = false;
  std::map<std::string, std::unique_ptr<LogWriter>> writers_;  // by task
};

}  // namespace slipway::bench
