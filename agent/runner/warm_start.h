#pragma once

#include "absl/status/status.h"
#include "agent/pool/warm_pool.h"
#include "agent/runner/attempt_context.h"

namespace slipway::runner {

// Whether the attempt's work tree can be moved into a container that waits. Asked before one is
// taken.
[[nodiscard]] bool CanMoveIn(const AttemptContext& context);

// Puts what the attempt has made so far, its log and its work tree, into the directories that the
// waiting container has mounted, and those in the place of the attempt's own. The container does
// not know yet. A crash at any point leaves an attempt that can be begun anew.
// After an error only the log is as it was, and the attempt has failed.
[[nodiscard]] absl::Status MoveIn(AttemptContext& context, pool::Stall& stall);

}  // namespace slipway::runner
