#include "common/rpc/deadlock_search.h"

#include "absl/synchronization/mutex.h"

namespace slipway::rpc {

void TurnOffDeadlockSearch() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

}  // namespace slipway::rpc
