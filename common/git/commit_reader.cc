#include "common/git/commit_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/git/clean_text.h"
#include "common/git/git2_support.h"
#include "common/status/status.h"

namespace slipway::git {
namespace {

// Of a commit that is read at all; honest ones have some kilobytes.
constexpr std::size_t kMaxCommitBytes = 1 << 20;
// Of one directory of a commit: some hundred thousand entries.
constexpr std::size_t kMaxTreeBytes = 32 << 20;
// The year 2255, up to where our times go; a commit may say any.
constexpr git_time_t kLatestCommit = 9'000'000'000;
// Tags of tags.
constexpr int kMaxTagDepth = 8;
constexpr std::size_t kMaxMessage = 512;
// Of a walk through folders.
constexpr std::size_t kMaxWalk = 5000;
constexpr std::size_t kMaxWalkedPath = 256;
constexpr int kMaxWalkDepth = 8;

std::string_view ViewOf(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

CommitInfo InfoOf(git_commit* commit) {
  CommitInfo info;
  info.commit = HexOf(*git_commit_id(commit));
  info.time = WallTime(
      std::chrono::seconds(std::clamp<git_time_t>(git_commit_time(commit), 0, kLatestCommit)));
  std::string_view message = ViewOf(git_commit_message(commit));
  while (!message.empty() && message.back() == '\n') message.remove_suffix(1);
  info.message = CleanText(message, kMaxMessage, TextLines::kMany);
  info.subject = CleanText(ViewOf(git_commit_summary(commit)), 200);
  const git_signature* author = git_commit_author(commit);
  info.author = CleanText(ViewOf(author == nullptr ? nullptr : author->name), 96);
  return info;
}

absl::Status NoFile(std::string_view path, std::string_view commit, std::string_view what) {
  return MakeError(absl::StatusCode::kNotFound, "FILE_UNKNOWN",
                   fmt::format("{} {} in commit {}", path, what, commit.substr(0, 12)),
                   fmt::format("Commit {} as a regular file.", path));
}

// The commit that a ref or tag leads to; nullptr: none, or one that is too large to be honest.
// Nothing is read before its size is known.
CommitPtr PeelBounded(git_repository* repository, git_odb* odb, git_oid id) {
  for (int depth = 0; depth <= kMaxTagDepth; ++depth) {
    std::size_t size = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    if (git_odb_read_header(&size, &type, odb, &id) != 0 || size > kMaxCommitBytes) return nullptr;
    if (type == GIT_OBJECT_COMMIT) {
      git_commit* commit = nullptr;
      if (git_commit_lookup(&commit, repository, &id) != 0) return nullptr;
      return CommitPtr(commit);
    }
    if (type != GIT_OBJECT_TAG) return nullptr;
    git_tag* raw = nullptr;
    if (git_tag_lookup(&raw, repository, &id) != 0) return nullptr;
    const Git2Ptr<git_tag, git_tag_free> tag(raw);
    id = *git_tag_target_id(raw);
  }
  return nullptr;
}

// An honest folder is far below.
absl::Status CheckTreeSize(git_odb* odb, const git_oid& tree) {
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  if (git_odb_read_header(&size, &type, odb, &tree) != 0) {
    return StatusFromGit2("cannot read the commit");
  }
  if (size <= kMaxTreeBytes) return absl::OkStatus();
  return MakeError(absl::StatusCode::kInvalidArgument, "FILE_TOO_LARGE",
                   fmt::format("a list of files of the commit has {} bytes", size));
}

bool IsRegular(const git_tree_entry* entry) {
  const auto mode = git_tree_entry_filemode(entry);
  return mode == GIT_FILEMODE_BLOB || mode == GIT_FILEMODE_BLOB_EXECUTABLE;
}

// Collects files folder by folder, up to limits that a repository cannot move.
struct FileWalk {
  git_repository* repository;
  git_odb* odb;
  std::size_t max;
  std::vector<std::string> files;
  // Files and folders looked at.
  std::size_t seen = 0;

  absl::Status Walk(const git_oid& id, const std::string& prefix, int depth) {
    SLIPWAY_RETURN_IF_ERROR(CheckTreeSize(odb, id));
    git_tree* raw = nullptr;
    if (git_tree_lookup(&raw, repository, &id) != 0) return StatusFromGit2("cannot read a folder");
    const TreePtr tree(raw);
    for (std::size_t i = 0; i < git_tree_entrycount(tree.get()); ++i) {
      if (files.size() >= max || ++seen > kMaxWalk) return absl::OkStatus();
      const git_tree_entry* entry = git_tree_entry_byindex(tree.get(), i);
      const std::string path = prefix + git_tree_entry_name(entry);
      if (path.size() > kMaxWalkedPath || CleanText(path, kMaxWalkedPath) != path) continue;
      if (IsRegular(entry)) {
        files.push_back(path);
      } else if (IsTree(entry) && depth < kMaxWalkDepth) {
        SLIPWAY_RETURN_IF_ERROR(Walk(*git_tree_entry_id(entry), path + "/", depth + 1));
      }
    }
    return absl::OkStatus();
  }
};

}  // namespace

struct CommitReader::State {
  RepositoryPtr repository;

  [[nodiscard]] absl::StatusOr<OdbPtr> Objects() const {
    git_odb* raw = nullptr;
    if (git_repository_odb(&raw, repository.get()) != 0) {
      return StatusFromGit2("cannot open the objects");
    }
    return OdbPtr(raw);
  }

  // nullptr: there is nothing of that path.
  [[nodiscard]] absl::StatusOr<EntryPtr> Find(git_odb* odb, std::string_view commit,
                                              std::string_view path) const {
    SLIPWAY_ASSIGN_OR_RETURN(CommitPtr found, FindCommit(repository.get(), commit));
    SLIPWAY_RETURN_IF_ERROR(CheckTreeSize(odb, *git_commit_tree_id(found.get())));
    SLIPWAY_ASSIGN_OR_RETURN(const TreePtr tree, TreeOf(found.get()));
    git_tree_entry* raw = nullptr;
    const int error = git_tree_entry_bypath(&raw, tree.get(), std::string(path).c_str());
    if (error == GIT_ENOTFOUND) return EntryPtr();
    if (error != 0) return StatusFromGit2(fmt::format("cannot look for {}", path));
    return EntryPtr(raw);
  }
};

CommitReader::CommitReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
CommitReader::CommitReader(CommitReader&&) noexcept = default;
CommitReader& CommitReader::operator=(CommitReader&&) noexcept = default;
CommitReader::~CommitReader() = default;

absl::StatusOr<CommitReader> CommitReader::Open(const std::string& git_dir) {
  SLIPWAY_ASSIGN_OR_RETURN(RepositoryPtr repository, OpenRepository(git_dir));
  return CommitReader(std::make_unique<State>(State{std::move(repository)}));
}

absl::StatusOr<std::string> CommitReader::ReadFile(std::string_view commit, std::string_view path,
                                                   std::size_t max_bytes) const {
  SLIPWAY_ASSIGN_OR_RETURN(const OdbPtr odb, state_->Objects());
  SLIPWAY_ASSIGN_OR_RETURN(const EntryPtr entry, state_->Find(odb.get(), commit, path));
  if (entry == nullptr) return NoFile(path, commit, "is not there");
  if (!IsRegular(entry.get())) return NoFile(path, commit, "is not a regular file");
  std::size_t size = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  if (git_odb_read_header(&size, &type, odb.get(), git_tree_entry_id(entry.get())) != 0) {
    return StatusFromGit2(fmt::format("cannot read {}", path));
  }
  if (size > max_bytes) {
    return MakeError(absl::StatusCode::kInvalidArgument, "FILE_TOO_LARGE",
                     fmt::format("{} has {} bytes; at most {} are read", path, size, max_bytes));
  }
  git_blob* raw_blob = nullptr;
  if (git_blob_lookup(&raw_blob, state_->repository.get(), git_tree_entry_id(entry.get())) != 0) {
    return StatusFromGit2(fmt::format("cannot read {}", path));
  }
  const BlobPtr blob(raw_blob);
  return std::string(static_cast<const char*>(git_blob_rawcontent(blob.get())),
                     static_cast<std::size_t>(git_blob_rawsize(blob.get())));
}

absl::StatusOr<bool> CommitReader::HasFile(std::string_view commit, std::string_view path) const {
  SLIPWAY_ASSIGN_OR_RETURN(const OdbPtr odb, state_->Objects());
  SLIPWAY_ASSIGN_OR_RETURN(const EntryPtr entry, state_->Find(odb.get(), commit, path));
  return entry != nullptr && IsRegular(entry.get());
}

absl::StatusOr<std::vector<std::string>> CommitReader::ListFiles(std::string_view commit,
                                                                 std::string_view folder,
                                                                 std::size_t max) const {
  SLIPWAY_ASSIGN_OR_RETURN(const OdbPtr odb, state_->Objects());
  FileWalk walk{state_->repository.get(), odb.get(), max, {}};
  if (folder == ".") {
    SLIPWAY_ASSIGN_OR_RETURN(CommitPtr found, FindCommit(state_->repository.get(), commit));
    SLIPWAY_RETURN_IF_ERROR(walk.Walk(*git_commit_tree_id(found.get()), "", 0));
    return std::move(walk.files);
  }
  SLIPWAY_ASSIGN_OR_RETURN(const EntryPtr entry, state_->Find(odb.get(), commit, folder));
  if (entry == nullptr || !IsTree(entry.get())) return std::vector<std::string>();
  SLIPWAY_RETURN_IF_ERROR(walk.Walk(*git_tree_entry_id(entry.get()), std::string(folder) + "/", 0));
  return std::move(walk.files);
}

absl::StatusOr<CommitInfo> CommitReader::Describe(std::string_view commit) const {
  SLIPWAY_ASSIGN_OR_RETURN(CommitPtr found, FindCommit(state_->repository.get(), commit));
  return InfoOf(found.get());
}

std::string CommitReader::DefaultCommit() const {
  git_oid id;
  git_odb* raw_odb = nullptr;
  if (git_reference_name_to_id(&id, state_->repository.get(), kDefaultBranchRef) != 0 ||
      git_repository_odb(&raw_odb, state_->repository.get()) != 0) {
    return "";
  }
  const OdbPtr odb(raw_odb);
  const CommitPtr commit = PeelBounded(state_->repository.get(), raw_odb, id);
  return commit == nullptr ? "" : HexOf(*git_commit_id(commit.get()));
}

absl::StatusOr<VersionList> CommitReader::ListVersions(const VersionLimits& limits) const {
  VersionList list;
  git_odb* raw_odb = nullptr;
  if (git_repository_odb(&raw_odb, state_->repository.get()) != 0) {
    return StatusFromGit2("cannot open the objects");
  }
  const OdbPtr odb(raw_odb);
  git_reference_iterator* raw = nullptr;
  if (git_reference_iterator_new(&raw, state_->repository.get()) != 0) {
    return StatusFromGit2("cannot list the refs");
  }
  const Git2Ptr<git_reference_iterator, git_reference_iterator_free> iterator(raw);
  git_reference* next = nullptr;
  std::size_t seen = 0;
  while (git_reference_next(&next, iterator.get()) == 0) {
    const ReferencePtr reference(next);
    const std::string_view name = git_reference_name(next);
    const bool is_branch = name.rfind("refs/heads/", 0) == 0;
    const bool is_tag = name.rfind("refs/tags/", 0) == 0;
    if (!is_branch && !is_tag) continue;
    if (++seen > limits.max_refs) {
      list.cut = true;
      break;
    }
    // Not followed: a symbolic ref is none of the remote's.
    const git_oid* target = git_reference_target(next);
    if (target == nullptr) continue;
    // Tags of trees and blobs are nothing that can be built.
    const CommitPtr commit = PeelBounded(state_->repository.get(), odb.get(), *target);
    if (commit == nullptr) continue;
    list.versions.push_back({.name = std::string(name.substr(is_branch ? 11 : 10)),
                             .is_tag = is_tag,
                             .commit = InfoOf(commit.get())});
  }
  std::sort(list.versions.begin(), list.versions.end(), IsBefore);
  if (list.versions.size() > limits.max_versions) {
    list.versions.resize(limits.max_versions);
    list.cut = true;
  }
  return list;
}

bool IsBefore(const Version& one, const Version& other) {
  if (one.commit.time != other.commit.time) return one.commit.time > other.commit.time;
  if (one.is_tag != other.is_tag) return one.is_tag;
  return one.name < other.name;
}

}  // namespace slipway::git
