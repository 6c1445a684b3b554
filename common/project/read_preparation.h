#pragma once

#include <optional>

#include "common/config/document.h"
#include "common/project/project_config.h"

namespace slipway::project {

// `prepare:` of a `build:` map; nullopt: it is not there. Mistakes are noted in
// `build`.
[[nodiscard]] std::optional<Preparation> ReadPreparation(config::Section& build);

}  // namespace slipway::project
