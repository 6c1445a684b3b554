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
  // First line of the message, valid UTF-8, at most 200 bytes.
  std::string subject;
  std::string author;
};

// A branch or tag and the commit it names.
struct Version {
  std::string name;
  bool is_tag = false;
  CommitInfo commit;
};

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
  // kInvalidArgument/FILE_TOO_LARGE: above max_bytes. kDataLoss/MIRROR_DAMAGED.
  [[nodiscard]] absl::StatusOr<std::string> ReadFile(std::string_view commit, std::string_view path,
                                                     std::size_t max_bytes) const;

  // kNotFound/REF_UNKNOWN: the commit is not here.
  [[nodiscard]] absl::StatusOr<CommitInfo> Describe(std::string_view commit) const;

  // Branches and tags that name commits, newest commit first, at most `max`.
  [[nodiscard]] absl::StatusOr<std::vector<Version>> ListVersions(std::size_t max) const;

 private:
  struct State;
  explicit CommitReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace slipway::git
