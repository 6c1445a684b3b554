#pragma once

#include <google/protobuf/map.h>

#include <string>

#include "controller/cli/render.h"
#include "controller/cli/table.h"
#include "slipway/v1/overview.pb.h"

// What builds can be told, and what one was told, as people read it. Pure functions.
namespace slipway::cli {

// "name=value" under each other, by name.
void AddParameters(Facts& facts, const google::protobuf::Map<std::string, std::string>& parameters,
                   Text text);
// Every parameter with its words in the reader's language, what it takes and its default.
[[nodiscard]] std::string RenderParameters(const v1::ApplicationOverview& application,
                                           const View& view);

}  // namespace slipway::cli
