#pragma once

#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/cli/catalog/catalog.h"

namespace slipway::cli::catalog {

// One object that is to be made, changed or deleted.
struct Change {
  enum class Action { kCreate, kUpdate, kDelete };
  Action action = Action::kCreate;
  std::string kind;  // "environment", "target", "application"
  std::string name;  // of a target "platform/name"
  // As it shall be, with the etag that it has now; of kDelete as it is.
  std::variant<v1::Environment, v1::Target, v1::Application> object;
  // Of an application: the fields that differ, as in UpdateApplicationRequest.
  std::vector<std::string> fields{};
  // As documents, certificates by their digest; empty: it is not there.
  std::string before{};
  std::string after{};
};

// What makes `stored` be as `wanted`: in the order in which it can be done, nothing for what is so
// already. What `wanted` does not name stays; with `prune` targets and environments go, never
// applications. kFailedPrecondition NO_SUCH_ENVIRONMENT: a target is in one that would not be
// there. Pure.
[[nodiscard]] absl::StatusOr<std::vector<Change>> MakePlan(const Catalog& wanted,
                                                           const Catalog& stored, bool prune);

}  // namespace slipway::cli::catalog
