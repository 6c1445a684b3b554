#pragma once

#include "absl/status/statusor.h"
#include "controller/domain/target.h"
#include "slipway/v1/catalog.pb.h"

// Targets and environments as clients see them. Errors are kInvalidArgument and name the field.
// Pure.
namespace slipway::api {

// Whether the reader may know how the farm reaches a platform.
enum class Wiring { kShown, kHidden };
v1::Target ToProto(const domain::Target& target, Wiring wiring);
v1::Environment ToProto(const domain::Environment& environment);

// Without revision, and who made it when.
absl::StatusOr<domain::Target> TargetFrom(const v1::Target& target);
absl::StatusOr<domain::Environment> EnvironmentFrom(const v1::Environment& environment);

// [a-z][a-z0-9-]{0,31}.
bool IsPlatformName(const std::string& name);
// Of an application, target or environment: [a-z0-9][a-z0-9-]{0,62}.
bool IsCatalogName(const std::string& name);

}  // namespace slipway::api
