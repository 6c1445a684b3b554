#pragma once

#include <string>

#include "controller/cli/render.h"
#include "slipway/v1/agent_admin.pb.h"
#include "slipway/v1/agent_images.pb.h"

// Agents' health and images as people read them. Pure functions.
namespace slipway::cli {

// One word or a few, for a table: "ok", "disk full", "engine hung", "clock 12 s ahead".
[[nodiscard]] std::string HealthWord(const v1::AgentHealth& health, const View& view);
// What is not as it should be, with figures, a line each behind `indent`; empty when all is well.
[[nodiscard]] std::string RenderTroubles(const v1::AgentHealth& health, const std::string& indent,
                                         const View& view);
// Disks, Engine and clock with their figures, whatever they are; a line each behind `indent`.
[[nodiscard]] std::string RenderHealth(const v1::AgentHealth& health, const std::string& indent,
                                       const View& view);
[[nodiscard]] std::string RenderImages(const v1::ListImagesResponse& images, const View& view);

}  // namespace slipway::cli
