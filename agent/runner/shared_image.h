#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "agent/runner/attempt_context.h"
#include "common/base/digest.h"

// Prepared images on their way between agents, through the controller's blobs: what lies over the
// builder image, which both have, travels alone, and arrives as the same image. Each call blocks,
// and needs room for the layer in the attempt's directory while it works.
namespace slipway::runner {

// Takes in the image `name` that another agent has shared. False: nobody has. An error: it cannot
// be had, nothing is here.
[[nodiscard]] absl::StatusOr<bool> TakeShared(AttemptContext& context, const std::string& name);

// Hands on the image `name`, which was made here.
[[nodiscard]] absl::Status Share(AttemptContext& context, const std::string& name);

}  // namespace slipway::runner
