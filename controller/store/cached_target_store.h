#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controller/store/cached_stores.h"
#include "controller/store/target_store.h"

namespace slipway::store {

// Holds all targets in memory, for submits and specs ask for them all the time; as CachedStores.
// Thread-safe.
class CachedTargetStore final : public TargetStore {
 public:
  // `below` must outlive this.
  explicit CachedTargetStore(TargetStore& below) : below_(below) {}

  absl::StatusOr<domain::Target> CreateTarget(const domain::Target& target,
                                              const Cause& cause) override {
    return Changed(below_.CreateTarget(target, cause));
  }
  absl::StatusOr<domain::Target> UpdateTarget(const domain::Target& target,
                                              std::optional<std::int64_t> revision,
                                              const Cause& cause) override {
    return Changed(below_.UpdateTarget(target, revision, cause));
  }
  absl::StatusOr<domain::Target> SetTargetSecret(const std::string& platform,
                                                 const std::string& name, const std::string& sealed,
                                                 std::optional<std::int64_t> revision,
                                                 const Cause& cause) override {
    return Changed(below_.SetTargetSecret(platform, name, sealed, revision, cause));
  }
  absl::StatusOr<std::string> SealedTargetSecret(const std::string& platform,
                                                 const std::string& name) override {
    return below_.SealedTargetSecret(platform, name);
  }
  absl::Status DeleteTarget(const std::string& platform, const std::string& name,
                            std::optional<std::int64_t> revision, const Cause& cause) override {
    return Changed(below_.DeleteTarget(platform, name, revision, cause));
  }
  absl::StatusOr<std::shared_ptr<const domain::Targets>> GetTargets() override {
    return targets_.Get(0, [&] { return below_.GetTargets(); });
  }
  absl::StatusOr<domain::Environment> CreateEnvironment(const domain::Environment& environment,
                                                        const Cause& cause) override {
    return below_.CreateEnvironment(environment, cause);
  }
  absl::StatusOr<domain::Environment> UpdateEnvironment(const domain::Environment& environment,
                                                        std::optional<std::int64_t> revision,
                                                        const Cause& cause) override {
    return below_.UpdateEnvironment(environment, revision, cause);
  }
  absl::Status DeleteEnvironment(const std::string& name, std::optional<std::int64_t> revision,
                                 const Cause& cause) override {
    return below_.DeleteEnvironment(name, revision, cause);
  }
  absl::StatusOr<std::vector<domain::Environment>> ListEnvironments() override {
    return below_.ListEnvironments();
  }

 private:
  // Whatever came of it: an error may be one of the answer only.
  template <typename Outcome>
  Outcome Changed(Outcome outcome) {
    targets_.Clear();
    return outcome;
  }

  TargetStore& below_;
  ReadCache<int, std::shared_ptr<const domain::Targets>> targets_;
};

}  // namespace slipway::store
