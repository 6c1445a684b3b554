#pragma once

#include <vector>

#include "slipway/v1/application.pb.h"
#include "slipway/v1/catalog.pb.h"

namespace slipway::cli::catalog {

// What a farm has, or shall have.
struct Catalog {
  std::vector<v1::Environment> environments;
  std::vector<v1::Target> targets;
  std::vector<v1::Application> applications;
};

}  // namespace slipway::cli::catalog
