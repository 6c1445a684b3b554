#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "agent/workspace/tree_record.h"
#include "agent/workspace/work_trees.h"
#include "common/git/git2_support.h"

namespace slipway::workspace {

// What is known of a tree beside its record.
enum class TreeTrust {
  // A build had it: every file and directory is looked at.
  kHostile,
  // It was made exactly the tree of the record's commit, and no build has had it since: only what
  // differs between the commits is looked at.
  kUntouched,
};

struct SyncResult {
  TreeRecord record;
  std::uint64_t written = 0;
  std::uint64_t removed = 0;
  // Of what was written; 0: nothing was. Nobody may get the tree before WaitForLaterStamps.
  std::int64_t newest_ctime_ns = 0;
};

// Makes the directory `root_fd` hold exactly the tree of `commit`, keeping the files that `before`
// vouches for. After an error the directory is in between.
// Private to this library; see WorkTrees for the rules.
[[nodiscard]] absl::StatusOr<SyncResult> SyncTree(git_repository* repository,
                                                  std::string_view commit, int root_fd,
                                                  TreeRecord before, TreeTrust trust,
                                                  const WorkTreeOptions& options, git::Trash& trash,
                                                  const std::stop_token& stop);

}  // namespace slipway::workspace
