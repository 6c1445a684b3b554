#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "absl/status/statusor.h"
#include "common/base/ids.h"

namespace slipway::packaging {

struct RunningPackagesOptions {
  // At the same time, of one account: each takes a core while its reader is fast, and a thread when
  // it is slow.
  int max_per_account = 4;
};

// Counts the packages that are being made, so that one account cannot take all of the machine.
// Outlives its places. Thread-safe.
class RunningPackages {
 public:
  explicit RunningPackages(RunningPackagesOptions options = {}) : options_(options) {}

  // A place, given back with the handle. kResourceExhausted (PACKAGES_BUSY): none is free.
  [[nodiscard]] absl::StatusOr<std::shared_ptr<void>> Enter(const AccountId& account);

 private:
  void Leave(const AccountId& account);

  const RunningPackagesOptions options_;
  std::mutex mu_;
  // Guarded by mu_; no zeros.
  std::map<AccountId, int> running_;
};

}  // namespace slipway::packaging
