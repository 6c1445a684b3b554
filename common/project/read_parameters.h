#pragma once

#include <vector>

#include "common/config/document.h"
#include "common/project/parameters.h"

namespace slipway::project {

// The key `parameters` of slipway.yaml, in the order of the file. Every mistake is noted in the
// section's document; what is returned then is not to be used.
[[nodiscard]] std::vector<Parameter> ReadParameters(config::Section& root);

}  // namespace slipway::project
