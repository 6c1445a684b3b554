#pragma once

#include <string>

#include "common/base/ids.h"
#include "common/base/time.h"

namespace slipway::domain {

// A product that is built and published. `name` is unique: [a-z0-9][a-z0-9-]{0,62}.
struct Application {
  ApplicationId id;
  std::string name;
  // As given to git; https, ssh, git or (when the operator allows it) file.
  std::string repository;
  std::string description;
  WallTime created_at;
  std::string created_by;
};

}  // namespace slipway::domain
