#pragma once

#include <functional>
#include <limits>
#include <stop_token>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "controller/cli/client.h"

namespace slipway::cli {

struct RetryOptions {
  // How long the controller may stay away before following is given up.
  Duration patience = std::chrono::minutes(3);
  Duration first_wait = std::chrono::milliseconds(200);
  Duration longest_wait = std::chrono::seconds(2);
  // How many streams may break off after something came. For what begins from its start each time:
  // an error that comes again at the same place would be fetched for ever.
  int begun_streams = std::numeric_limits<int>::max();
};

// Told when the controller goes away, and when it is back.
using TroubleSink = std::function<void(const absl::Status& trouble)>;  // ok: it is back

// For files that come in one piece.
inline constexpr RetryOptions kFromTheStart{.begun_streams = 3};

// Runs `attempt` until it succeeds, fails for good, `stop` is requested (InterruptedError), nothing
// has come for `patience`, or `begun_streams` broke off (the last error). Only a ControllerError
// may pass: a full disk here does not. `attempt` makes one stream and calls the given function for
// every message it gets. Blocks; thread-safe.
absl::Status RetryStream(
    const Client& client, const RetryOptions& options, const std::stop_token& stop,
    const TroubleSink& trouble,
    const std::function<absl::Status(const std::function<void()>& received)>& attempt);

}  // namespace slipway::cli
