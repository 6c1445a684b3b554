#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "controller/store/pg/database.h"

namespace slipway::store::pg {

struct LeadershipOptions {
  // The name in `database.application_name` identifies this holder.
  DatabaseOptions database;
  // How long Acquire waits for a holder that gives signs of life to go. One that gives none is
  // waited for until it is stale.
  Duration wait = std::chrono::seconds(10);
  // Between two signs of life; also the longest time to see a loss that nobody announces.
  Duration heartbeat_interval = std::chrono::seconds(2);
  // A holder without a sign of life for this long is ended by its successor. Must be several times
  // heartbeat_interval, which both must have alike.
  Duration stale_after = std::chrono::seconds(15);
};

// The right to be the one controller that schedules and writes: a session lock on a connection of
// its own that never reconnects, and a sign of life for others to see. A leader that does not know
// yet that it lost this is kept from writing by the epoch (Database::BeginTerm), which the new
// leader starts after Acquire.
//
// Owns a thread. Thread-safe.
class Leadership {
 public:
  // Takes the lock; ends a stale holder's connections to get it. What connections an earlier holder
  // still has are ended as well, so that none of its transactions delays the new term. `on_lost` is
  // called at most once, on this object's thread, with the first error of the connection: stop
  // sending, exit.
  // kUnavailable LEADERSHIP_HELD: another controller leads; names it.
  static absl::StatusOr<std::unique_ptr<Leadership>> Acquire(
      const LeadershipOptions& options, std::function<void(const absl::Status&)> on_lost);

  Leadership(const Leadership&) = delete;
  Leadership& operator=(const Leadership&) = delete;
  // Gives the lock back. Must not run on the thread that calls `on_lost`.
  ~Leadership();

  // False from the moment the loss was seen.
  [[nodiscard]] bool held() const;

 private:
  class Impl;
  explicit Leadership(std::unique_ptr<Impl> impl);

  const std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::store::pg
