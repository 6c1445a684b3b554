#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace slipway::store::pg {

// An account of this machine, as far as starting a program under it needs. Thread-compatible.
struct OsUser {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  // Every group the account is in, `gid` among them.
  std::vector<gid_t> groups;
};

// kNotFound: no such account.
absl::StatusOr<OsUser> FindOsUser(std::string_view name);

// The account this process runs under.
absl::StatusOr<OsUser> CurrentOsUser();

// The account that PostgreSQL, which refuses to run as root, runs under: this process's own unless
// that is root; then `wanted`, or when that is empty "slipway-postgres", or "postgres".
// kFailedPrecondition CLUSTER_USER: no such account, or it is root, or this process may not become
// it; the remedy says how to make one.
absl::StatusOr<OsUser> ChooseClusterUser(std::string_view wanted);

}  // namespace slipway::store::pg
