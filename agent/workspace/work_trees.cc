#include "agent/workspace/work_trees.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <utility>
#include <vector>

#include "agent/workspace/tree_record.h"
#include "agent/workspace/tree_sync.h"
#include "common/base/ids.h"
#include "common/fs/unique_fd.h"
#include "common/git/file_support.h"
#include "common/git/git2_support.h"
#include "common/git/trash.h"
#include "common/status/status.h"

// A slot is a directory trees/REPOSITORY/ID with `tree` (while it is not lent), `record` and, while
// it is lent, `lent` with the destination. Missing `record`: the tree is to be thrown away.
namespace slipway::workspace {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;

constexpr std::size_t kMaxRecordBytes = std::size_t{1} << 30;

bool Exists(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0;
}

std::string RepositoryOf(const std::string& slot) {
  return fs::path(slot).parent_path().filename().string();
}

// Without a commit: there is none that can be used.
TreeRecord LoadRecord(const std::string& slot) {
  const auto bytes = git::ReadWholeFile(slot + "/record", kMaxRecordBytes);
  if (!bytes.ok()) return {};
  return TreeRecord::Parse(*bytes).value_or(TreeRecord{});
}

// Makes what is in the slot the tree of `commit`, and its record that of the tree. The old record
// stays until then: what it says of a file is true as long as the file has the recorded stamp.
absl::StatusOr<WorkTree> SyncSlot(const std::string& slot, git_repository* repository,
                                  std::string_view commit, TreeRecord before, TreeTrust trust,
                                  const WorkTreeOptions& options, git::Trash& trash,
                                  const std::stop_token& stop) {
  const slipway::fs::UniqueFd root(
      open((slot + "/tree").c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root.valid()) return ErrnoError(errno, "cannot open the work tree of " + slot);
  const bool same_commit = before.commit == commit;
  SLIPWAY_ASSIGN_OR_RETURN(
      const SyncResult synced,
      SyncTree(repository, commit, root.get(), std::move(before), trust, options, trash, stop));
  if (!same_commit || synced.written > 0) {
    SLIPWAY_RETURN_IF_ERROR(git::WriteFileAtomically(slot + "/record", synced.record.Serialize()));
  }
  if (synced.written > 0) {
    SLIPWAY_RETURN_IF_ERROR(WaitForLaterStamps(slot + "/record", synced.newest_ctime_ns));
  }
  return WorkTree{.path = "",
                  .commit = std::string(commit),
                  .reused = true,
                  .files = synced.record.files.size(),
                  .written = synced.written,
                  .removed = synced.removed};
}

}  // namespace

WorkTrees::WorkTrees(git::MirrorCache& mirrors, WorkTreeOptions options)
    : mirrors_(mirrors), options_(options), dir_(mirrors.options().work_dir + "/trees") {}

WorkTrees::~WorkTrees() = default;

absl::StatusOr<std::unique_ptr<WorkTrees>> WorkTrees::Create(git::MirrorCache& mirrors,
                                                             WorkTreeOptions options) {
  std::unique_ptr<WorkTrees> trees(new WorkTrees(mirrors, options));
  SLIPWAY_RETURN_IF_ERROR(trees->Load());
  trees->restorer_ = std::jthread(
      [self = trees.get()](const std::stop_token& stop) { self->RestoreReturned(stop); });
  return trees;
}

absl::Status WorkTrees::Load() {
  SLIPWAY_RETURN_IF_ERROR(git::MakeDirs(dir_));
  if (chmod(dir_.c_str(), 0700) != 0) return ErrnoError(errno, "cannot protect " + dir_);
  std::error_code error;
  for (const auto& repository : fs::directory_iterator(dir_, error)) {
    const std::string name = repository.path().filename().string();
    std::error_code slot_error;
    for (const auto& item : fs::directory_iterator(repository.path(), slot_error)) {
      const std::string slot = item.path().string();
      const auto lent = git::ReadWholeFile(slot + "/lent", 8192);
      const bool usable = Exists(slot + "/record");
      if (usable && lent.ok() && Exists(*lent) && !Exists(slot + "/tree")) {
        lent_[*lent] = slot;
      } else if (usable && Exists(slot + "/tree")) {
        unlink((slot + "/lent").c_str());
        kept_[name].push_back({.slot = slot});
      } else {
        SLIPWAY_RETURN_IF_ERROR(mirrors_.trash().Put(slot));
      }
    }
  }
  return error ? ErrnoError(error.value(), "cannot list " + dir_) : absl::OkStatus();
}

absl::StatusOr<WorkTrees::Kept> WorkTrees::TakeSlot(const std::string& repository,
                                                    std::string_view commit,
                                                    const std::stop_token& stop) {
  const auto rank = [&](const Kept& one) {
    if (one.state == KeptState::kRestoring) return 0;
    if (one.state != KeptState::kUntouched) return 1;
    return one.tree.commit == commit ? 3 : 2;
  };
  {
    std::unique_lock lock(mu_);
    auto& kept = kept_[repository];
    const auto one_is_free = [&] {
      return kept.empty() ||
             std::any_of(kept.begin(), kept.end(), [&](const Kept& one) { return rank(one) > 0; });
    };
    if (!changed_.wait(lock, stop, one_is_free)) {
      return absl::CancelledError("canceled while waiting for a work tree");
    }
    if (!kept.empty()) {
      // The last of the best: what was used a moment ago is still in the page cache.
      auto best = kept.begin();
      for (auto it = kept.begin(); it != kept.end(); ++it) {
        if (rank(*it) >= rank(*best)) best = it;
      }
      Kept taken = std::move(*best);
      kept.erase(best);
      return taken;
    }
  }
  Kept fresh{.slot = fmt::format("{}/{}/{}", dir_, repository, NewId(""))};
  SLIPWAY_RETURN_IF_ERROR(git::MakeDirs(fresh.slot));
  return fresh;
}

absl::StatusOr<WorkTree> WorkTrees::Fill(const Kept& kept, const std::string& git_dir,
                                         std::string_view commit, const std::stop_token& stop) {
  const bool untouched = kept.state == KeptState::kUntouched;
  if (untouched && kept.tree.commit == commit) return kept.tree;
  SLIPWAY_ASSIGN_OR_RETURN(const git::RepositoryPtr repository, git::OpenRepository(git_dir));
  const std::string tree = kept.slot + "/tree";
  TreeRecord before = LoadRecord(kept.slot);
  for (int round = 0;; ++round) {
    const bool fresh = round > 0 || before.commit.empty();
    if (fresh) {
      before = {};
      SLIPWAY_RETURN_IF_ERROR(mirrors_.trash().Put(tree));
      if (mkdir(tree.c_str(), 0755) != 0) return ErrnoError(errno, "cannot make " + tree);
    }
    auto filled = SyncSlot(kept.slot, repository.get(), commit, std::move(before),
                           untouched && !fresh ? TreeTrust::kUntouched : TreeTrust::kHostile,
                           options_, mirrors_.trash(), stop);
    if (filled.ok()) {
      filled->reused = !fresh;
      if (!fresh) {
        filled->written += kept.tree.written;
        filled->removed += kept.tree.removed;
      }
      return filled;
    }
    // Whatever a build did to make a kept tree unusable, a new one has none of it.
    const std::string reason = GetErrorInfo(filled.status()).reason;
    if (fresh || !reason.empty() || filled.status().code() == StatusCode::kCancelled) {
      return filled.status();
    }
  }
}

absl::StatusOr<WorkTree> WorkTrees::Restore(const std::string& slot, const std::stop_token& stop) {
  TreeRecord before = LoadRecord(slot);
  if (before.commit.empty()) return absl::NotFoundError("no record of the tree in " + slot);
  SLIPWAY_ASSIGN_OR_RETURN(const git::RepositoryPtr repository,
                           git::OpenRepository(mirrors_.PathOfName(RepositoryOf(slot))));
  const std::string commit = before.commit;
  return SyncSlot(slot, repository.get(), commit, std::move(before), TreeTrust::kHostile, options_,
                  mirrors_.trash(), stop);
}

void WorkTrees::RestoreReturned(const std::stop_token& stop) {
  std::unique_lock lock(mu_);
  while (changed_.wait(lock, stop, [&] { return FindReturned() != nullptr; }) &&
         !stop.stop_requested()) {
    Kept* const returned = FindReturned();
    returned->state = KeptState::kRestoring;
    const std::string slot = returned->slot;
    lock.unlock();
    absl::StatusOr<WorkTree> restored = Restore(slot, stop);
    lock.lock();
    // Nobody takes or drops a tree that is being restored. One that could not be is left to the
    // build that gets it, which can tell somebody what is wrong.
    Kept* const kept = FindKept(slot);
    kept->state = restored.ok() ? KeptState::kUntouched : KeptState::kHostile;
    if (restored.ok()) kept->tree = *std::move(restored);
    changed_.notify_all();
    lock.unlock();
    DropSurplus(RepositoryOf(slot));
    lock.lock();
  }
}

WorkTrees::Kept* WorkTrees::FindKept(std::string_view slot) {
  for (auto& [repository, kept] : kept_) {
    for (Kept& one : kept) {
      if (one.slot == slot) return &one;
    }
  }
  return nullptr;
}

WorkTrees::Kept* WorkTrees::FindReturned() {
  for (auto& [repository, kept] : kept_) {
    for (Kept& one : kept) {
      if (one.state == KeptState::kReturned) return &one;
    }
  }
  return nullptr;
}

absl::StatusOr<WorkTree> WorkTrees::Prepare(const git::Source& source, std::string_view commit,
                                            const std::string& destination,
                                            const std::stop_token& stop) {
  if (destination.empty() || destination.front() != '/' || Exists(destination)) {
    return MakeError(
        StatusCode::kAlreadyExists, "",
        fmt::format("the destination '{}' must be an absolute path where nothing is", destination));
  }
  SLIPWAY_RETURN_IF_ERROR(mirrors_.Ensure(source, commit, stop));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string git_dir, mirrors_.PathOf(source));
  SLIPWAY_ASSIGN_OR_RETURN(Kept kept, TakeSlot(fs::path(git_dir).stem().string(), commit, stop));
  const std::string& slot = kept.slot;
  auto tree = Fill(kept, git_dir, commit, stop);
  if (!tree.ok() && tree.status().code() == StatusCode::kDataLoss) {
    auto status = mirrors_.Remake(source, stop);
    if (status.ok()) status = mirrors_.Ensure(source, commit, stop);
    // Also what was begun is looked at.
    kept.state = KeptState::kHostile;
    tree = status.ok() ? Fill(kept, git_dir, commit, stop) : status;
  }
  absl::Status status = tree.status();
  // The note first: a crash in between leaves the tree in its slot, where Load keeps it.
  if (status.ok()) status = git::WriteFileAtomically(slot + "/lent", destination);
  if (status.ok() && renameat2(AT_FDCWD, (slot + "/tree").c_str(), AT_FDCWD, destination.c_str(),
                               RENAME_NOREPLACE) != 0) {
    status = ErrnoError(errno, "cannot move the work tree to " + destination);
  }
  if (!status.ok()) {
    DropSlot(slot);
    return status;
  }
  tree->path = destination;
  const std::lock_guard lock(mu_);
  lent_[destination] = slot;
  return tree;
}

absl::Status WorkTrees::Return(const std::string& destination) {
  std::string slot;
  {
    const std::lock_guard lock(mu_);
    const auto lent = lent_.find(destination);
    if (lent == lent_.end()) return absl::OkStatus();
    slot = lent->second;
    lent_.erase(lent);
  }
  if (rename(destination.c_str(), (slot + "/tree").c_str()) != 0) {
    const int error = errno;
    DropSlot(slot);
    return ErrnoError(error, "cannot take back " + destination);
  }
  unlink((slot + "/lent").c_str());
  const std::string repository = RepositoryOf(slot);
  {
    const std::lock_guard lock(mu_);
    kept_[repository].push_back({.slot = slot, .state = KeptState::kReturned});
  }
  changed_.notify_all();
  DropSurplus(repository);
  return absl::OkStatus();
}

absl::Status WorkTrees::Discard(const std::string& destination) {
  std::string slot;
  {
    const std::lock_guard lock(mu_);
    const auto lent = lent_.find(destination);
    if (lent == lent_.end()) return absl::OkStatus();
    slot = lent->second;
    lent_.erase(lent);
  }
  DropSlot(slot);
  return mirrors_.trash().Put(destination);
}

std::vector<KeptTree> WorkTrees::ListKept() {
  const std::lock_guard lock(mu_);
  std::vector<KeptTree> trees;
  for (const auto& [repository, kept] : kept_) {
    for (const Kept& one : kept) {
      // Its tree came back into it last, and was put right at once.
      struct stat info {};
      if (lstat(one.slot.c_str(), &info) != 0) continue;
      trees.push_back(
          {.path = one.slot, .last_used = WallTime(std::chrono::seconds(info.st_mtim.tv_sec))});
    }
  }
  return trees;
}

absl::Status WorkTrees::DropKept(const std::string& path) {
  {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&] {
      const Kept* const kept = FindKept(path);
      return kept == nullptr || kept->state != KeptState::kRestoring;
    });
    const auto dropped = std::any_of(kept_.begin(), kept_.end(), [&](auto& entry) {
      return std::erase_if(entry.second, [&](const Kept& kept) { return kept.slot == path; }) > 0;
    });
    if (!dropped) return absl::AbortedError("the work tree is used again");
  }
  DropSlot(path);
  return absl::OkStatus();
}

bool WorkTrees::WaitUntilRestored(Duration timeout) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, timeout, [&] {
    return std::none_of(kept_.begin(), kept_.end(), [](const auto& entry) {
      return std::any_of(entry.second.begin(), entry.second.end(), [](const Kept& kept) {
        return kept.state == KeptState::kReturned || kept.state == KeptState::kRestoring;
      });
    });
  });
}

void WorkTrees::DropSurplus(const std::string& repository) {
  std::vector<std::string> surplus;
  {
    const std::lock_guard lock(mu_);
    // What is being restored is looked at once more afterwards.
    const auto take_oldest = [&](std::vector<Kept>& kept) {
      const auto oldest = std::find_if(kept.begin(), kept.end(), [](const Kept& one) {
        return one.state != KeptState::kRestoring;
      });
      if (oldest == kept.end()) return false;
      surplus.push_back(std::move(oldest->slot));
      kept.erase(oldest);
      return true;
    };
    auto& own = kept_[repository];
    if (own.size() > options_.max_kept_per_repository) take_oldest(own);
    std::size_t all = 0;
    for (const auto& [name, kept] : kept_) all += kept.size();
    for (auto& [name, kept] : kept_) {
      if (all <= options_.max_kept) break;
      if (name != repository && take_oldest(kept)) --all;
    }
    if (all > options_.max_kept) take_oldest(own);
  }
  for (const std::string& slot : surplus) DropSlot(slot);
}

void WorkTrees::DropSlot(const std::string& slot) {
  // Without its record nothing of it is used again, even when it cannot be moved now.
  unlink((slot + "/record").c_str());
  (void)mirrors_.trash().Put(slot);
}

}  // namespace slipway::workspace
