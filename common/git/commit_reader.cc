#include "common/git/commit_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/git/git2_support.h"
#include "common/status/status.h"

namespace slipway::git {
namespace {

// Commit messages are bytes of any kind; ours are UTF-8 without control characters.
std::string CleanText(const char* text, std::size_t max) {
  std::string result;
  if (text == nullptr) return result;
  const std::string_view bytes(text);
  for (std::size_t i = 0; i < bytes.size() && result.size() < max;) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    const std::size_t length = byte < 0x80                    ? 1
                               : byte >= 0xc2 && byte <= 0xdf ? 2
                               : byte >= 0xe1 && byte <= 0xef ? 3
                               : byte >= 0xf1 && byte <= 0xf3 ? 4
                                                              : 0;
    bool valid = length > 0 && i + length <= bytes.size() && byte >= ' ' && byte != 0x7f;
    for (std::size_t j = 1; valid && j < length; ++j) {
      valid = (static_cast<unsigned char>(bytes[i + j]) & 0xc0) == 0x80;
    }
    // UTF-16 surrogates.
    if (valid && byte == 0xed && static_cast<unsigned char>(bytes[i + 1]) >= 0xa0) valid = false;
    if (valid) {
      result.append(bytes.substr(i, length));
    } else {
      result.push_back('?');
    }
    i += valid ? length : 1;
  }
  return result;
}

CommitInfo InfoOf(git_commit* commit) {
  CommitInfo info;
  info.commit = HexOf(*git_commit_id(commit));
  info.time = WallTime(std::chrono::seconds(git_commit_time(commit)));
  info.subject = CleanText(git_commit_summary(commit), 196);
  const git_signature* author = git_commit_author(commit);
  info.author = CleanText(author == nullptr ? nullptr : author->name, 96);
  return info;
}

absl::Status NoFile(std::string_view path, std::string_view commit, std::string_view what) {
  return MakeError(absl::StatusCode::kNotFound, "FILE_UNKNOWN",
                   fmt::format("{} {} in commit {}", path, what, commit.substr(0, 12)),
                   fmt::format("Commit {} as a regular file.", path));
}

}  // namespace

struct CommitReader::State {
  RepositoryPtr repository;
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
  SLIPWAY_ASSIGN_OR_RETURN(CommitPtr found, FindCommit(state_->repository.get(), commit));
  SLIPWAY_ASSIGN_OR_RETURN(const TreePtr tree, TreeOf(found.get()));
  git_tree_entry* raw_entry = nullptr;
  const int error = git_tree_entry_bypath(&raw_entry, tree.get(), std::string(path).c_str());
  if (error == GIT_ENOTFOUND) return NoFile(path, commit, "is not there");
  if (error != 0) return StatusFromGit2(fmt::format("cannot look for {}", path));
  const EntryPtr entry(raw_entry);
  const auto mode = git_tree_entry_filemode(entry.get());
  if (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE) {
    return NoFile(path, commit, "is not a regular file");
  }
  git_odb* raw_odb = nullptr;
  if (git_repository_odb(&raw_odb, state_->repository.get()) != 0) {
    return StatusFromGit2("cannot open the objects");
  }
  const OdbPtr odb(raw_odb);
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

absl::StatusOr<CommitInfo> CommitReader::Describe(std::string_view commit) const {
  SLIPWAY_ASSIGN_OR_RETURN(CommitPtr found, FindCommit(state_->repository.get(), commit));
  return InfoOf(found.get());
}

absl::StatusOr<std::vector<Version>> CommitReader::ListVersions(std::size_t max) const {
  std::vector<Version> versions;
  git_reference_iterator* raw = nullptr;
  if (git_reference_iterator_new(&raw, state_->repository.get()) != 0) {
    return StatusFromGit2("cannot list the refs");
  }
  const Git2Ptr<git_reference_iterator, git_reference_iterator_free> iterator(raw);
  git_reference* next = nullptr;
  while (git_reference_next(&next, iterator.get()) == 0) {
    const ReferencePtr reference(next);
    const std::string_view name = git_reference_name(next);
    const bool is_branch = name.rfind("refs/heads/", 0) == 0;
    const bool is_tag = name.rfind("refs/tags/", 0) == 0;
    if (!is_branch && !is_tag) continue;
    git_object* peeled = nullptr;
    // Tags of trees and blobs are nothing that can be built.
    if (git_reference_peel(&peeled, next, GIT_OBJECT_COMMIT) != 0) continue;
    const ObjectPtr object(peeled);
    Version version;
    version.name = std::string(name.substr(is_branch ? 11 : 10));
    version.is_tag = is_tag;
    version.commit = InfoOf(reinterpret_cast<git_commit*>(peeled));
    versions.push_back(std::move(version));
  }
  std::stable_sort(versions.begin(), versions.end(), [](const Version& a, const Version& b) {
    return a.commit.time > b.commit.time;
  });
  if (versions.size() > max) versions.resize(max);
  return versions;
}

}  // namespace slipway::git
