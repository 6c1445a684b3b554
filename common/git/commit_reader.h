#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"

namespace slipway::git {

struct CommitInfo {
  // 40 hex digits.
  std::string commit;
  // Of the committer.
  WallTime time;
  // First line of the message, as CleanText, at most 200 bytes.
  std::string subject;
  // As CleanText.
  std::string author;
  // The beginning of the whole message, as CleanText with its lines, at most 512 bytes.
  std::string message;
};

// A branch or tag and the commit it names.
struct Version {
  // As the repository has it: whatever bytes git takes for a name, not fit to be shown (CleanText).
  std::string name;
  bool is_tag = false;
  CommitInfo commit;
};

// Where a mirror keeps what the remote's HEAD is.
inline constexpr char kDefaultBranchRef[] = "refs/slipway/HEAD";

// How far to go with a repository that may have been made to be too much.
struct VersionLimits {
  // Newest commits first.
  std::size_t max_versions = 2000;
  // Branches and tags looked at, in the order of their full names.
  std::size_t max_refs = 50'000;
};

struct VersionList {
  // In the order of IsBefore.
  std::vector<Version> versions;
  // There are more than the limits allow.
  bool cut = false;
};

// Newest commit first, of one time tags first, then by name.
[[nodiscard]] bool IsBefore(const Version& one, const Version& other);

// Reads commits of one mirror without a checkout. Cheap to open; holds the mirror's packs open, so
// keep it for one piece of work. Confined to one thread at a time.
class CommitReader {
 public:
  // kNotFound: no repository in `git_dir`.
  [[nodiscard]] static absl::StatusOr<CommitReader> Open(const std::string& git_dir);
  CommitReader(CommitReader&&) noexcept;
  CommitReader& operator=(CommitReader&&) noexcept;
  ~CommitReader();

  // The bytes of a regular file. `path` is relative with '/' between its parts.
  // kNotFound/FILE_UNKNOWN: no such file in the commit, or it is a directory or symbolic link.
  // kInvalidArgument/FILE_TOO_LARGE: above max_bytes, or the commit's own list of files is absurd.
  // kDataLoss/MIRROR_DAMAGED.
  [[nodiscard]] absl::StatusOr<std::string> ReadFile(std::string_view commit, std::string_view path,
                                                     std::size_t max_bytes) const;

  // Whether ReadFile would find a regular file. kInvalidArgument/FILE_TOO_LARGE: the commit's own
  // list of files is absurd. kDataLoss/MIRROR_DAMAGED.
  [[nodiscard]] absl::StatusOr<bool> HasFile(std::string_view commit, std::string_view path) const;

  // The first `max` regular files below a folder, in git's order, as full paths; names that are not
  // fit to be shown (CleanText) are left out, and so is what lies deeper than some folders.
  // `folder` is relative, "." the whole tree; one that is not there has none. Errors as HasFile.
  [[nodiscard]] absl::StatusOr<std::vector<std::string>> ListFiles(std::string_view commit,
                                                                   std::string_view folder,
                                                                   std::size_t max) const;

  // kNotFound/REF_UNKNOWN: the commit is not here.
  [[nodiscard]] absl::StatusOr<CommitInfo> Describe(std::string_view commit) const;

  // Of the default branch when the mirror was fetched; empty: there was none.
  [[nodiscard]] std::string DefaultCommit() const;

  // Branches and tags that name commits.
  [[nodiscard]] absl::StatusOr<VersionList> ListVersions(const VersionLimits& limits = {}) const;

 private:
  struct State;
  explicit CommitReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace slipway::git
