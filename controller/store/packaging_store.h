#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "controller/domain/task.h"

namespace slipway::store {

// A build that somebody wants: everything its product depends on but for the image it runs in.
struct WantedBuild {
  ApplicationId application;
  std::string commit;  // 40 hex digits
  std::string platform;
  // As submitted.
  std::string version;
  std::string description;
  std::map<std::string, std::string> parameters;
  std::map<std::string, std::string> requirements;
  // Its product is to have a credential.
  bool with_credential = false;
};

struct Packagings {
  // How often the commit was packaged for the platform, whatever the rest; at most
  // PackagingStore::kMostCounted.
  std::int64_t times = 0;
  // When it was more often than asked: the newest of them that is the wanted build and ran in the
  // image that its name stands for now, with its result.
  std::optional<domain::Task> build;
};

// How often versions were packaged: builds that succeeded, and products taken from the hot cache.
// The scheduler's store writes it down with each of them. Thread-safe.
class PackagingStore {
 public:
  static constexpr int kMostCounted = 1000;
  virtual ~PackagingStore() = default;
  // What was packaged after `since`; a product is looked for when that is more than `more_than`.
  [[nodiscard]] virtual absl::StatusOr<Packagings> Find(const WantedBuild& wanted, WallTime since,
                                                        int more_than) = 0;
  // Forgets what was packaged before `before`.
  [[nodiscard]] virtual absl::Status Forget(WallTime before) = 0;
};

}  // namespace slipway::store
