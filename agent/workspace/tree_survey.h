#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "agent/workspace/tree_record.h"
#include "agent/workspace/work_trees.h"
#include "common/git/git2_support.h"

// What a checkout will meet, before its first byte is written. Private to this library.
namespace slipway::workspace {

// REPOSITORY_TOO_LARGE: "the commit has `what`".
[[nodiscard]] absl::Status TooLarge(std::string_view what);
// REPOSITORY_REFUSED: "the commit has `what` at `path`".
[[nodiscard]] absl::Status UnsafeEntry(std::string_view path, std::string_view what);

struct TreeSurvey {
  // As in TreeRecord.
  std::uint64_t entries = 0;
  std::string attributes;
};

// Reads the whole tree of a commit and refuses forbidden names and what is above the limits.
[[nodiscard]] absl::StatusOr<TreeSurvey> SurveyTree(git_repository* repository,
                                                    const git_tree* tree,
                                                    const WorkTreeOptions& options,
                                                    const std::stop_token& stop);

struct ChangeSurvey {
  TreeSurvey tree;
  // Size of the files that stay.
  std::int64_t kept_bytes = 0;
};

// The same, reading only what differs from `old`, the tree of `before`. nullopt: the attributes
// differ, so that any file may have to be converted anew.
[[nodiscard]] absl::StatusOr<std::optional<ChangeSurvey>> SurveyChanges(
    git_repository* repository, const git_tree* tree, const git_tree* old, const TreeRecord& before,
    const WorkTreeOptions& options, const std::stop_token& stop);

}  // namespace slipway::workspace
