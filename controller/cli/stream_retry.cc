#include "controller/cli/stream_retry.h"

#include <algorithm>
#include <optional>

#include "controller/cli/exit_code.h"

namespace slipway::cli {

absl::Status RetryStream(
    const Client& client, const RetryOptions& options, const std::stop_token& stop,
    const TroubleSink& trouble,
    const std::function<absl::Status(const std::function<void()>& received)>& attempt) {
  const SystemClock clock;
  std::optional<MonoTime> silent_since;
  Duration wait = options.first_wait;
  bool renewed = false;
  int begun_streams = 0;
  while (true) {
    bool begun = false;
    const absl::Status status = attempt([&] {
      begun = true;
      renewed = false;
      if (!silent_since) return;
      silent_since.reset();
      wait = options.first_wait;
      trouble(absl::OkStatus());
    });
    if (stop.stop_requested()) return InterruptedError();
    if (!renewed && client.RenewToken(status)) {
      renewed = true;
      continue;
    }
    if (status.ok() || !IsControllerError(status) || !IsPassing(status)) return status;
    if (begun && ++begun_streams >= options.begun_streams) return status;
    if (!silent_since) {
      silent_since = clock.Mono();
      trouble(status);
    } else if (clock.Mono() - *silent_since >= options.patience) {
      return status;
    }
    if (!client.WaitToRetry(stop, wait)) return InterruptedError();
    wait = std::min(wait * 2, options.longest_wait);
  }
}

}  // namespace slipway::cli
