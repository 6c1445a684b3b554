#pragma once

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/cli/client.h"
#include "controller/cli/follow_view.h"
#include "controller/cli/stream_retry.h"
#include "slipway/v1/task.pb.h"

namespace slipway::cli {

// Follows a run to its end: prints to `out` what `view` makes of its tasks and logs. Waits out a
// controller that goes away and goes on at the byte where it was. Gives the run as it ended.
// kCancelled (InterruptedError) when the client's stop was requested; the run goes on. Blocks.
[[nodiscard]] absl::StatusOr<v1::WatchRunResponse> FollowRun(const Client& client,
                                                             const std::string& run,
                                                             const RetryOptions& retry,
                                                             FollowView& view, std::ostream& out);

// How one log ended.
struct LogEnd {
  std::int64_t attempt = 0;
  std::uint64_t next = 0;  // offset behind the last byte
  bool complete = false;
  std::uint64_t missing = 0;
};

struct LogPiece {
  std::string_view data;  // valid during the call only
  std::uint64_t skipped = 0;
  bool restarted = false;  // the beginning of a newer attempt's log
  std::int64_t attempt = 0;
};

// Reads a log as `request` says, over as many connections as it takes, handing its bytes on in
// order, each once. Blocks.
[[nodiscard]] absl::StatusOr<LogEnd> ReadLog(const Client& client,
                                             const v1::ReadLogRequest& request,
                                             const RetryOptions& retry, const std::stop_token& stop,
                                             const TroubleSink& trouble,
                                             const std::function<void(const LogPiece&)>& sink);

}  // namespace slipway::cli
