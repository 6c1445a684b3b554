#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/domain/target.h"
#include "controller/store/cause.h"

namespace slipway::store {

// Targets and environments; every change is audited with it, and refused inside its transaction
// when one of cause.authorities does not hold there. Creations answer the object made before when
// cause.request_id is the same by the same actor, and kAlreadyExists REQUEST_ID_REUSED when that
// was for something else. `revision`: the one that the caller has seen, kAborted ETAG_MISMATCH when
// it is another; absent: any. Thread-safe.
class TargetStore {
 public:
  virtual ~TargetStore() = default;

  // As stored. kAlreadyExists TARGET_EXISTS; kNotFound NO_SUCH_ENVIRONMENT.
  [[nodiscard]] virtual absl::StatusOr<domain::Target> CreateTarget(const domain::Target& target,
                                                                    const Cause& cause) = 0;
  // Replaces all but who made it when. kNotFound NO_SUCH_TARGET, NO_SUCH_ENVIRONMENT;
  // kFailedPrecondition TARGET_IN_USE: environment or deadline would change while publishes or
  // previews to it are not finished, for their rights and their end rest on them.
  [[nodiscard]] virtual absl::StatusOr<domain::Target> UpdateTarget(
      const domain::Target& target, std::optional<std::int64_t> revision, const Cause& cause) = 0;
  // What a channel proves itself with, sealed for the farm; empty: nothing. kNotFound
  // NO_SUCH_TARGET; kFailedPrecondition NO_CHANNEL.
  [[nodiscard]] virtual absl::StatusOr<domain::Target> SetTargetSecret(
      const std::string& platform, const std::string& name, const std::string& sealed,
      std::optional<std::int64_t> revision, const Cause& cause) = 0;
  // The sealed document; empty: it has none. kNotFound NO_SUCH_TARGET.
  [[nodiscard]] virtual absl::StatusOr<std::string> SealedTargetSecret(const std::string& platform,
                                                                       const std::string& name) = 0;
  // kNotFound NO_SUCH_TARGET; kFailedPrecondition TARGET_IN_USE.
  [[nodiscard]] virtual absl::Status DeleteTarget(const std::string& platform,
                                                  const std::string& name,
                                                  std::optional<std::int64_t> revision,
                                                  const Cause& cause) = 0;
  [[nodiscard]] virtual absl::StatusOr<std::shared_ptr<const domain::Targets>> GetTargets() = 0;

  // kAlreadyExists ENVIRONMENT_EXISTS.
  [[nodiscard]] virtual absl::StatusOr<domain::Environment> CreateEnvironment(
      const domain::Environment& environment, const Cause& cause) = 0;
  // kNotFound NO_SUCH_ENVIRONMENT.
  [[nodiscard]] virtual absl::StatusOr<domain::Environment> UpdateEnvironment(
      const domain::Environment& environment, std::optional<std::int64_t> revision,
      const Cause& cause) = 0;
  // kNotFound; kFailedPrecondition ENVIRONMENT_IN_USE: targets or grants name it.
  [[nodiscard]] virtual absl::Status DeleteEnvironment(const std::string& name,
                                                       std::optional<std::int64_t> revision,
                                                       const Cause& cause) = 0;
  // By order, then by name.
  [[nodiscard]] virtual absl::StatusOr<std::vector<domain::Environment>> ListEnvironments() = 0;
};

}  // namespace slipway::store
