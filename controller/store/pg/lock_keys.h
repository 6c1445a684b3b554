#pragma once

#include <cstdint>

// The advisory locks of one database. The upper half spells "slip", so that another program's locks
// in a shared database are not met by chance.
namespace slipway::store::pg {

// Session lock of the one process that migrates.
constexpr std::int64_t kMigrationLock = 0x736c697000000001;
// Session lock of the leader.
constexpr std::int64_t kLeaderLock = 0x736c697000000002;
// Transaction lock: shared by every write, exclusive for the start of a term.
constexpr std::int64_t kWriteFence = 0x736c697000000003;

}  // namespace slipway::store::pg
