#include "common/git/git2_support.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/base/check.h"
#include "common/status/status.h"

namespace slipway::git {
namespace {

void StartLibrary() {
  static const bool started = [] {
    SLIPWAY_CHECK(git_libgit2_init() > 0);
    for (const int level : {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_XDG,
                            GIT_CONFIG_LEVEL_PROGRAMDATA}) {
      git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    }
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, static_cast<ssize_t>(8 << 20));
    // A checkout reads every directory twice; by default, those of 100 files are not kept.
    git_libgit2_opts(GIT_OPT_SET_CACHE_OBJECT_LIMIT, GIT_OBJECT_TREE, std::size_t{64} << 10);
    return true;
  }();
  (void)started;
}

}  // namespace

absl::Status StatusFromGit2(std::string_view what) {
  const git_error* error = git_error_last();
  return MakeError(absl::StatusCode::kDataLoss, "MIRROR_DAMAGED",
                   fmt::format("{}: {}", what, error == nullptr ? "unknown" : error->message),
                   "The mirror is fetched anew by itself; if that does not help, check the disk.");
}

absl::StatusOr<RepositoryPtr> OpenRepository(const std::string& git_dir) {
  StartLibrary();
  git_repository* repository = nullptr;
  const int error = git_repository_open_bare(&repository, git_dir.c_str());
  if (error == GIT_ENOTFOUND) {
    return MakeError(absl::StatusCode::kNotFound, "", "nothing was fetched into " + git_dir);
  }
  if (error != 0) return StatusFromGit2("cannot open " + git_dir);
  return RepositoryPtr(repository);
}

bool IsFullCommitId(std::string_view text) {
  return text.size() == GIT_OID_HEXSZ && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

absl::StatusOr<CommitPtr> FindCommit(git_repository* repository, std::string_view commit) {
  git_oid id;
  if (!IsFullCommitId(commit) || git_oid_fromstrn(&id, commit.data(), commit.size()) != 0) {
    return MakeError(absl::StatusCode::kNotFound, "REF_UNKNOWN",
                     fmt::format("'{}' is not a full commit id", commit.substr(0, 64)));
  }
  git_commit* found = nullptr;
  const int error = git_commit_lookup(&found, repository, &id);
  if (error == GIT_ENOTFOUND) {
    return MakeError(absl::StatusCode::kNotFound, "REF_UNKNOWN",
                     fmt::format("commit {} is not in the repository", commit),
                     "Check the commit, and that it was pushed.");
  }
  if (error != 0) return StatusFromGit2(fmt::format("cannot read commit {}", commit));
  return CommitPtr(found);
}

absl::StatusOr<TreePtr> TreeOf(const git_commit* commit) {
  git_tree* tree = nullptr;
  if (git_commit_tree(&tree, commit) != 0) return StatusFromGit2("cannot read the commit");
  return TreePtr(tree);
}

absl::StatusOr<TreePtr> Subtree(git_repository* repository, const git_tree_entry* entry) {
  git_tree* tree = nullptr;
  if (git_tree_lookup(&tree, repository, git_tree_entry_id(entry)) != 0) {
    return StatusFromGit2("cannot read a directory of the commit");
  }
  return TreePtr(tree);
}

bool IsTree(const git_tree_entry* entry) {
  return git_tree_entry_filemode(entry) == GIT_FILEMODE_TREE;
}

bool AreSame(const git_tree_entry* one, const git_tree_entry* other) {
  return git_tree_entry_filemode(one) == git_tree_entry_filemode(other) &&
         git_oid_equal(git_tree_entry_id(one), git_tree_entry_id(other)) != 0;
}

const git_tree_entry* FindLike(const git_tree* tree, const git_tree_entry* like) {
  return git_tree_entry_byname(tree, git_tree_entry_name(like));
}

std::string HexOf(const git_oid& id) {
  std::string hex(GIT_OID_HEXSZ, '0');
  git_oid_fmt(hex.data(), &id);
  return hex;
}

std::string HashName(std::string_view text) {
  StartLibrary();
  git_oid id;
  SLIPWAY_CHECK(git_odb_hash(&id, text.data(), text.size(), GIT_OBJECT_BLOB) == 0);
  return HexOf(id);
}

}  // namespace slipway::git
