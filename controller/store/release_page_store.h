#pragma once

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/domain/release_page.h"
#include "controller/store/cause.h"

namespace slipway::store {

// The pages of what was handed to channels. They are part of a publish, whose permit and result
// are audited; of a page alone its closing is. Thread-safe.
class ReleasePageStore {
 public:
  virtual ~ReleasePageStore() = default;
  // Replaces an older one of the same task, whose address is then of no more use. kNotFound: there
  // is no such task.
  [[nodiscard]] virtual absl::Status Put(const domain::ReleasePage& page) = 0;
  // The page of this address, unless it expired by `now`, or its publish has failed or never
  // began. kNotFound, reason NO_SUCH_PAGE.
  [[nodiscard]] virtual absl::StatusOr<domain::ReleasePage> Find(const Sha256Digest& token_hash,
                                                                 WallTime now) = 0;
  // Ends the time of a task's page, unless it is over: since when it is. Audited, and refused when
  // one of cause.authorities does not hold. kNotFound, reason NO_SUCH_PAGE.
  [[nodiscard]] virtual absl::StatusOr<WallTime> Close(const TaskId& task, WallTime now,
                                                       const Cause& cause) = 0;
  // Forgets pages that expired before `now`, and those of publishes that failed a day before it.
  // The files that the others need.
  [[nodiscard]] virtual absl::StatusOr<std::set<std::string>> ForgetExpired(WallTime now) = 0;
};

}  // namespace slipway::store
