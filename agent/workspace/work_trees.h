#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/workspace/mirror_cache.h"

namespace slipway::workspace {

struct WorkTreeOptions {
  // Owner of everything in a tree: the user that build scripts run as. Ignored unless the agent is
  // root; then the files belong to the agent's own user.
  std::uint32_t uid = 1000;
  std::uint32_t gid = 1000;
  // Kept trees, not counting those lent: of one repository, and of all.
  std::size_t max_kept_per_repository = 2;
  std::size_t max_kept = 8;
  // What a commit may unfold to.
  std::uint64_t max_files = 1'000'000;
  std::int64_t max_bytes = std::int64_t{32} << 30;
  std::int64_t max_file_bytes = std::int64_t{1} << 30;
};

// A tree that is kept for the next build of its repository.
struct KeptTree {
  std::string path;
  WallTime last_used;
};

struct WorkTree {
  // Where the tree is: the destination of Prepare.
  std::string path;
  std::string commit;
  // False: made from nothing.
  bool reused = false;
  std::uint64_t files = 0;
  std::uint64_t written = 0;
  // Files and directories that did not belong there.
  std::uint64_t removed = 0;
};

// Work trees for builds: each is the exact content of one commit, and nothing else.
//
// A tree that a build has given back is kept and brought to the next commit by rewriting what
// differs. Everything in such a tree is hostile. What may stay is decided by a record that the
// build never saw: a file is left alone only when inode, size, mtime and ctime are those of the
// moment it was written here, and no user space can set a ctime. Nothing is opened through a
// symbolic link, nothing is written into an existing file, and there is no .git in the tree. What
// does not belong is renamed into the trash. Git attributes of line ends are honoured (from the
// commit); filters such as LFS are not run, submodules are empty directories.
//
// Trees and destinations must be on one file system. Thread-safe; calls block for as long as a
// checkout takes.
class WorkTrees {
 public:
  // Trees lent by an earlier process are still lent while their destination exists. `mirrors` must
  // outlive this.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<WorkTrees>> Create(MirrorCache& mirrors,
                                                                         WorkTreeOptions options);

  // Makes `destination` (absolute, absent, its directory exists) the tree of `commit` (40 hex
  // digits, fetched when it is not here yet) and lends it to the caller. Nothing is there unless
  // it returns ok. Errors as ToFailure.
  [[nodiscard]] absl::StatusOr<WorkTree> Prepare(std::string_view url, std::string_view commit,
                                                 const std::string& destination,
                                                 const std::stop_token& stop = {});

  // Takes a lent tree back to keep it for the next build. REQUIRES: no process that can write to
  // it is left. Ok when nothing was lent there. One rename, whatever is in the tree.
  [[nodiscard]] absl::Status Return(const std::string& destination);

  // The same, without keeping it: for trees whose content should not come back.
  [[nodiscard]] absl::Status Discard(const std::string& destination);

  // Those not lent.
  [[nodiscard]] std::vector<KeptTree> ListKept();
  // kAborted: it is lent now, or gone.
  [[nodiscard]] absl::Status DropKept(const std::string& path);

 private:
  WorkTrees(MirrorCache& mirrors, WorkTreeOptions options);

  [[nodiscard]] absl::Status Load();
  [[nodiscard]] absl::StatusOr<std::string> TakeSlot(const std::string& repository);
  [[nodiscard]] absl::StatusOr<WorkTree> Fill(const std::string& slot, const std::string& git_dir,
                                              std::string_view commit, const std::stop_token& stop);
  void DropSurplus(const std::string& repository);
  void DropSlot(const std::string& slot);

  // Constant after construction.
  MirrorCache& mirrors_;
  const WorkTreeOptions options_;
  const std::string dir_;
  // Own synchronisation.
  std::mutex mu_;
  // Guarded by mu_. Kept slots by repository, the most recently returned last; slot of each lent
  // destination.
  std::map<std::string, std::vector<std::string>> kept_;
  std::map<std::string, std::string> lent_;
};

}  // namespace slipway::workspace
