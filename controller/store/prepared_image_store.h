#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace slipway::store {

// Prepared images of applications that agents have shared: which artifact each is. Thread-safe.
class PreparedImageStore {
 public:
  virtual ~PreparedImageStore() = default;
  // nullopt: nobody has shared it.
  [[nodiscard]] virtual absl::StatusOr<std::optional<Sha256Digest>> Find(
      const ApplicationId& application, const std::string& name) = 0;
  // Whether one of the application's is this artifact.
  [[nodiscard]] virtual absl::StatusOr<bool> Holds(const ApplicationId& application,
                                                   const Sha256Digest& manifest) = 0;
  // Replaces what had the name. kInvalidArgument: a name that cannot be stored.
  [[nodiscard]] virtual absl::Status Put(const ApplicationId& application, const std::string& name,
                                         const Sha256Digest& manifest, const AgentId& by,
                                         WallTime now) = 0;
};

}  // namespace slipway::store
