#pragma once

#include <string>

#include "controller/cli/render.h"
#include "slipway/v1/overview.pb.h"

// What there is to choose from, as people read it. Pure functions; results end with a newline.
namespace slipway::cli {

[[nodiscard]] std::string RenderVersions(const v1::ListVersionsResponse& versions,
                                         const View& view);
// Each application with what one may do, and what keeps one from it now.
[[nodiscard]] std::string RenderOverview(const v1::Overview& overview, const View& view);
// Why a repository could not be read. REQUIRES: it has a problem.
[[nodiscard]] std::string RenderRepositoryProblem(const v1::RepositoryState& repository,
                                                  const View& view);

}  // namespace slipway::cli
