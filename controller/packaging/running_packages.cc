#include "controller/packaging/running_packages.h"

#include <fmt/format.h>

#include "common/status/status.h"

namespace slipway::packaging {

absl::StatusOr<std::shared_ptr<void>> RunningPackages::Enter(const AccountId& account) {
  const std::lock_guard lock(mu_);
  int& running = running_[account];
  if (running >= options_.max_per_account) {
    return MakeError(absl::StatusCode::kResourceExhausted, "PACKAGES_BUSY",
                     fmt::format("{} packages are being made for this account already", running));
  }
  ++running;
  return std::shared_ptr<void>(this, [this, account](void*) { Leave(account); });
}

void RunningPackages::Leave(const AccountId& account) {
  const std::lock_guard lock(mu_);
  const auto it = running_.find(account);
  if (--it->second == 0) running_.erase(it);
}

}  // namespace slipway::packaging
