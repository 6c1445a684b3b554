#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "agent/workspace/git2_support.h"
#include "agent/workspace/tree_record.h"
#include "agent/workspace/work_trees.h"

namespace slipway::workspace {

struct SyncResult {
  TreeRecord record;
  std::uint64_t written = 0;
  std::uint64_t removed = 0;
};

// Makes the directory `root_fd` hold exactly the tree of `commit`, keeping the files that `before`
// vouches for. After an error the directory is in between and its record worth nothing.
// Private to this library; see WorkTrees for the rules.
[[nodiscard]] absl::StatusOr<SyncResult> SyncTree(git_repository* repository,
                                                  std::string_view commit, int root_fd,
                                                  const TreeRecord& before,
                                                  const WorkTreeOptions& options, Trash& trash,
                                                  const std::stop_token& stop);

}  // namespace slipway::workspace
