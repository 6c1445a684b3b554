#pragma once

#include "agent/runner/attempt_context.h"
#include "common/git/source.h"

namespace slipway::runner {

// The repository of a build as its application reads it: its credential is asked of the controller
// right before each fetch, patiently, and hidden from then on in what the attempt says. REQUIRES:
// the task is a BuildWork. `context` must outlive it.
[[nodiscard]] git::Source SourceOf(AttemptContext& context);

}  // namespace slipway::runner
