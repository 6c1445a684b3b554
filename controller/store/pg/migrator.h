#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controller/store/pg/database.h"
#include "controller/store/pg/migrations.h"

namespace slipway::store::pg {

struct MigrationReport {
  // Version the database had, and has now. 0: no schema.
  int version_before = 0;
  int version_after = 0;
  // Files that were applied, or with kList would be.
  std::vector<std::string> files;
};

enum class MigrationMode { kApply, kList };

// Brings the schema up to the last of `migrations`, each in one transaction of its own; with kList
// it changes nothing and tells what it would do. Callers at the same time, in other processes too,
// take turns. Blocks without limit of statement time.
// kFailedPrecondition NOT_LEADER: another process holds the leadership that the database names, by
// its application_name; where none ever did, anybody migrates.
// kFailedPrecondition SCHEMA_NEWER: the database was migrated by a newer controller.
// kDataLoss SCHEMA_CHANGED: an applied migration differs from the built-in one; names the file.
// Any other error names the file that failed; the files before it stay applied.
absl::StatusOr<MigrationReport> Migrate(DatabaseOptions database,
                                        std::span<const Migration> migrations, MigrationMode mode);

}  // namespace slipway::store::pg
