#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/runner/task_spec.h"

namespace slipway::runner {

// Puts a script that somebody brought where the container finds it: below `home`, the directory
// that is kHome inside, in one of its own that belongs to the agent. `private_dir` is on the same
// file system, and nobody else writes there. One that is there already stays as it is: it may be
// running. Whatever a container left in `home` is taken for hostile. Blocks.
[[nodiscard]] absl::Status PlaceScript(const BroughtScript& script, const std::string& private_dir,
                                       const std::string& home);

// What runs it inside: by itself when it says with what ("#!"), else /bin/sh.
[[nodiscard]] std::vector<std::string> ArgvOf(const BroughtScript& script);

}  // namespace slipway::runner
