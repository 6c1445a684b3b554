#pragma once

#include <algorithm>
#include <functional>

#include "absl/status/status.h"
#include "common/base/time.h"
#include "common/status/status.h"

namespace slipway::artifacts {

// Sleeps; false when the work was cancelled meanwhile and must stop.
using WaitFunction = std::function<bool(Duration)>;

struct RetryOptions {
  Duration first_wait = std::chrono::milliseconds(200);
  Duration longest_wait = std::chrono::seconds(15);
};

// The connection's fault, not the data's: worth the same call again. A certificate that was renewed
// while the call was on its way is one: the next call has the new one.
inline bool IsTransient(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kDeadlineExceeded ||
         GetErrorInfo(status).reason == "CERTIFICATE_REPLACED";
}

// Waits that double up to a limit. Thread-compatible.
class Backoff {
 public:
  explicit Backoff(const RetryOptions& options) : options_(options), next_(options.first_wait) {}
  Duration Next() {
    const Duration wait = next_;
    next_ = std::min(next_ * 2, options_.longest_wait);
    return wait;
  }
  void Reset() { next_ = options_.first_wait; }

 private:
  RetryOptions options_;
  Duration next_;
};

}  // namespace slipway::artifacts
