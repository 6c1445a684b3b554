#pragma once

#include <cstdint>
#include <map>
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
  // Labels that an agent needs for any of its tasks (key → value).
  std::map<std::string, std::string> requirements{};
  // How long its tasks may wait for an agent unless a submit says otherwise; zero: for ever.
  Duration queue_timeout{};
  WallTime created_at;
  std::string created_by;
  // Another one after each change; never one that any object of the catalog had before.
  std::int64_t revision = 0;
};

}  // namespace slipway::domain
