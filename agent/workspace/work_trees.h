#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "common/git/mirror_cache.h"

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
  // Since its last build, also what was put right before this one was asked for.
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
// does not belong is renamed into the trash.
//
// A returned tree is put right at once, by a thread of our own: it becomes again what it was lent
// as. No build sees it from then on, so the next one pays only for what differs between the
// commits, and nothing for the same commit. A tree that was not put right yet, such as one of an
// earlier process, is put right by the build that gets it. Git attributes of line ends are honoured
// (from the commit); filters such as LFS are not run, submodules are empty directories.
//
// Trees and destinations must be on one file system. Thread-safe; calls block for as long as a
// checkout takes.
class WorkTrees {
 public:
  // Trees lent by an earlier process are still lent while their destination exists. `mirrors` must
  // outlive this.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<WorkTrees>> Create(git::MirrorCache& mirrors,
                                                                         WorkTreeOptions options);
  ~WorkTrees();
  WorkTrees(const WorkTrees&) = delete;
  WorkTrees& operator=(const WorkTrees&) = delete;

  // Makes `destination` (absolute, absent, its directory exists) the tree of `commit` (40 hex
  // digits, fetched when it is not here yet) and lends it to the caller. Nothing is there unless
  // it returns ok. Errors as ToFailure.
  [[nodiscard]] absl::StatusOr<WorkTree> Prepare(std::string_view url, std::string_view commit,
                                                 const std::string& destination,
                                                 const std::stop_token& stop = {});

  // Takes a lent tree back to keep it for the next build. REQUIRES: no process that can write to
  // it is left. Ok when nothing was lent there. One rename, whatever is in the tree; the rest is
  // done behind.
  [[nodiscard]] absl::Status Return(const std::string& destination);

  // The same, without keeping it: for trees whose content should not come back.
  [[nodiscard]] absl::Status Discard(const std::string& destination);

  // Those not lent.
  [[nodiscard]] std::vector<KeptTree> ListKept();
  // kAborted: it is lent now, or gone. Waits while the tree is being put right.
  [[nodiscard]] absl::Status DropKept(const std::string& path);

  // Waits until no returned tree is left to put right. False: `timeout` came first.
  [[nodiscard]] bool WaitUntilRestored(Duration timeout);

 private:
  enum class KeptState {
    // Hostile, and nothing will happen to it before it is asked for.
    kHostile,
    // Hostile; the restorer will take it.
    kReturned,
    // The restorer has it.
    kRestoring,
    // Exactly `commit`, and out of reach for every build since it was made so.
    kUntouched,
  };
  struct Kept {
    std::string slot;
    KeptState state = KeptState::kHostile;
    // Of kUntouched: the rest of what is told of it.
    WorkTree tree = {};
  };

  WorkTrees(git::MirrorCache& mirrors, WorkTreeOptions options);

  [[nodiscard]] absl::Status Load();
  // The tree that costs least to make `commit`, or a new slot. Waits while the only one there is
  // is being restored.
  [[nodiscard]] absl::StatusOr<Kept> TakeSlot(const std::string& repository,
                                              std::string_view commit, const std::stop_token& stop);
  [[nodiscard]] absl::StatusOr<WorkTree> Fill(const Kept& kept, const std::string& git_dir,
                                              std::string_view commit, const std::stop_token& stop);
  // Makes what is in the slot the tree of the commit that it was lent as.
  [[nodiscard]] absl::StatusOr<WorkTree> Restore(const std::string& slot,
                                                 const std::stop_token& stop);
  void RestoreReturned(const std::stop_token& stop);
  // REQUIRES: mu_ is held. nullptr: none.
  [[nodiscard]] Kept* FindKept(std::string_view slot);
  [[nodiscard]] Kept* FindReturned();
  void DropSurplus(const std::string& repository);
  void DropSlot(const std::string& slot);

  // Constant after construction.
  git::MirrorCache& mirrors_;
  const WorkTreeOptions options_;
  const std::string dir_;
  // Own synchronisation.
  std::mutex mu_;
  // A tree was returned or restored.
  std::condition_variable_any changed_;
  // Guarded by mu_. Kept slots by repository, the most recently returned last; slot of each lent
  // destination.
  std::map<std::string, std::vector<Kept>> kept_;
  std::map<std::string, std::string> lent_;
  // Last: stops and joins before the rest goes.
  std::jthread restorer_;
};

}  // namespace slipway::workspace
