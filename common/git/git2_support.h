#pragma once

#include <git2.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

// libgit2, owned; for this library and for work trees, which are written with it.
namespace slipway::git {

template <typename T, void (*Free)(T*)>
struct Git2Free {
  void operator()(T* object) const { Free(object); }
};
template <typename T, void (*Free)(T*)>
using Git2Ptr = std::unique_ptr<T, Git2Free<T, Free>>;

using RepositoryPtr = Git2Ptr<git_repository, git_repository_free>;
using ObjectPtr = Git2Ptr<git_object, git_object_free>;
using CommitPtr = Git2Ptr<git_commit, git_commit_free>;
using TreePtr = Git2Ptr<git_tree, git_tree_free>;
using BlobPtr = Git2Ptr<git_blob, git_blob_free>;
using EntryPtr = Git2Ptr<git_tree_entry, git_tree_entry_free>;
using ReferencePtr = Git2Ptr<git_reference, git_reference_free>;
using OdbPtr = Git2Ptr<git_odb, git_odb_free>;

// What libgit2 said last on this thread, as a status: kDataLoss/MIRROR_DAMAGED, for everything that
// the caller has not told apart by its code.
[[nodiscard]] absl::Status StatusFromGit2(std::string_view what);

// Opens a bare repository with none of the machine's configuration. kNotFound.
[[nodiscard]] absl::StatusOr<RepositoryPtr> OpenRepository(const std::string& git_dir);

// REF_UNKNOWN unless `commit` is 40 hex digits of a commit that is here.
[[nodiscard]] absl::StatusOr<CommitPtr> FindCommit(git_repository* repository,
                                                   std::string_view commit);

// Of a commit, and of an entry that is a directory.
[[nodiscard]] absl::StatusOr<TreePtr> TreeOf(const git_commit* commit);
[[nodiscard]] absl::StatusOr<TreePtr> Subtree(git_repository* repository,
                                              const git_tree_entry* entry);

[[nodiscard]] bool IsTree(const git_tree_entry* entry);
// The same content and mode, whatever the names.
[[nodiscard]] bool AreSame(const git_tree_entry* one, const git_tree_entry* other);
// The entry of the same name; nullptr: there is none.
[[nodiscard]] const git_tree_entry* FindLike(const git_tree* tree, const git_tree_entry* like);

[[nodiscard]] std::string HexOf(const git_oid& id);

// SHA-1 of a text as hex: for names of directories and checks against damage, not for security.
[[nodiscard]] std::string HashName(std::string_view text);

[[nodiscard]] bool IsFullCommitId(std::string_view text);

}  // namespace slipway::git
