#include "agent/workspace/work_trees.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <vector>

#include "agent/workspace/file_support.h"
#include "agent/workspace/git2_support.h"
#include "agent/workspace/trash.h"
#include "agent/workspace/tree_record.h"
#include "agent/workspace/tree_sync.h"
#include "common/base/ids.h"
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

TreeRecord LoadRecord(const std::string& slot) {
  const auto bytes = ReadWholeFile(slot + "/record", kMaxRecordBytes);
  if (!bytes.ok()) return {};
  return TreeRecord::Parse(*bytes).value_or(TreeRecord{});
}

}  // namespace

WorkTrees::WorkTrees(MirrorCache& mirrors, WorkTreeOptions options)
    : mirrors_(mirrors), options_(options), dir_(mirrors.options().work_dir + "/trees") {}

absl::StatusOr<std::unique_ptr<WorkTrees>> WorkTrees::Create(MirrorCache& mirrors,
                                                             WorkTreeOptions options) {
  std::unique_ptr<WorkTrees> trees(new WorkTrees(mirrors, options));
  SLIPWAY_RETURN_IF_ERROR(trees->Load());
  return trees;
}

absl::Status WorkTrees::Load() {
  SLIPWAY_RETURN_IF_ERROR(MakeDirs(dir_));
  if (chmod(dir_.c_str(), 0700) != 0) return ErrnoError(errno, "cannot protect " + dir_);
  std::error_code error;
  for (const auto& repository : fs::directory_iterator(dir_, error)) {
    const std::string name = repository.path().filename().string();
    std::error_code slot_error;
    for (const auto& item : fs::directory_iterator(repository.path(), slot_error)) {
      const std::string slot = item.path().string();
      const auto lent = ReadWholeFile(slot + "/lent", 8192);
      const bool usable = Exists(slot + "/record");
      if (usable && lent.ok() && Exists(*lent) && !Exists(slot + "/tree")) {
        lent_[*lent] = slot;
      } else if (usable && Exists(slot + "/tree")) {
        unlink((slot + "/lent").c_str());
        kept_[name].push_back(slot);
      } else {
        SLIPWAY_RETURN_IF_ERROR(mirrors_.trash().Put(slot));
      }
    }
  }
  return error ? ErrnoError(error.value(), "cannot list " + dir_) : absl::OkStatus();
}

absl::StatusOr<std::string> WorkTrees::TakeSlot(const std::string& repository) {
  {
    const std::lock_guard lock(mu_);
    auto& kept = kept_[repository];
    if (!kept.empty()) {
      std::string slot = std::move(kept.back());
      kept.pop_back();
      return slot;
    }
  }
  std::string slot = fmt::format("{}/{}/{}", dir_, repository, NewId(""));
  SLIPWAY_RETURN_IF_ERROR(MakeDirs(slot));
  return slot;
}

absl::StatusOr<WorkTree> WorkTrees::Fill(const std::string& slot, const std::string& git_dir,
                                         std::string_view commit, const std::stop_token& stop) {
  SLIPWAY_ASSIGN_OR_RETURN(const RepositoryPtr repository, OpenRepository(git_dir));
  const std::string tree = slot + "/tree";
  WorkTree result;
  TreeRecord before = LoadRecord(slot);
  // From here on the tree is in between: a crash must not leave a record that vouches for it.
  unlink((slot + "/record").c_str());
  for (int round = 0;; ++round) {
    const bool fresh = round > 0 || before.files.empty();
    if (fresh) {
      before = {};
      SLIPWAY_RETURN_IF_ERROR(mirrors_.trash().Put(tree));
      if (mkdir(tree.c_str(), 0755) != 0) return ErrnoError(errno, "cannot make " + tree);
    }
    const Fd root(open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    auto synced = root.valid() ? SyncTree(repository.get(), commit, root.get(), before, options_,
                                          mirrors_.trash(), stop)
                               : ErrnoError(errno, "cannot open " + tree);
    if (synced.ok()) {
      result.commit = std::string(commit);
      result.reused = !fresh;
      result.files = synced->record.files.size();
      result.written = synced->written;
      result.removed = synced->removed;
      SLIPWAY_RETURN_IF_ERROR(WriteFileAtomically(slot + "/record", synced->record.Serialize()));
      return result;
    }
    // Whatever a build did to make a kept tree unusable, a new one has none of it.
    const std::string reason = GetErrorInfo(synced.status()).reason;
    if (fresh || !reason.empty() || synced.status().code() == StatusCode::kCancelled) {
      return synced.status();
    }
  }
}

absl::StatusOr<WorkTree> WorkTrees::Prepare(std::string_view url, std::string_view commit,
                                            const std::string& destination,
                                            const std::stop_token& stop) {
  if (destination.empty() || destination.front() != '/' || Exists(destination)) {
    return MakeError(
        StatusCode::kAlreadyExists, "",
        fmt::format("the destination '{}' must be an absolute path where nothing is", destination));
  }
  SLIPWAY_RETURN_IF_ERROR(mirrors_.Ensure(url, commit, stop));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string git_dir, mirrors_.PathOf(url));
  SLIPWAY_ASSIGN_OR_RETURN(const std::string slot, TakeSlot(fs::path(git_dir).stem().string()));
  auto tree = Fill(slot, git_dir, commit, stop);
  if (!tree.ok() && tree.status().code() == StatusCode::kDataLoss) {
    auto status = mirrors_.Remake(url, stop);
    if (status.ok()) status = mirrors_.Ensure(url, commit, stop);
    tree = status.ok() ? Fill(slot, git_dir, commit, stop) : status;
  }
  absl::Status status = tree.status();
  // The note first: a crash in between leaves the tree in its slot, where Load keeps it.
  if (status.ok()) status = WriteFileAtomically(slot + "/lent", destination);
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
  const std::string repository = fs::path(slot).parent_path().filename().string();
  {
    const std::lock_guard lock(mu_);
    kept_[repository].push_back(slot);
  }
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
  for (const auto& [repository, slots] : kept_) {
    for (const std::string& slot : slots) {
      // Its tree came back into it last.
      struct stat info {};
      if (lstat(slot.c_str(), &info) != 0) continue;
      trees.push_back(
          {.path = slot, .last_used = WallTime(std::chrono::seconds(info.st_mtim.tv_sec))});
    }
  }
  return trees;
}

absl::Status WorkTrees::DropKept(const std::string& path) {
  {
    const std::lock_guard lock(mu_);
    const auto dropped = std::any_of(kept_.begin(), kept_.end(), [&](auto& entry) {
      return std::erase(entry.second, path) > 0;
    });
    if (!dropped) return absl::AbortedError("the work tree is used again");
  }
  DropSlot(path);
  return absl::OkStatus();
}

void WorkTrees::DropSurplus(const std::string& repository) {
  std::vector<std::string> surplus;
  {
    const std::lock_guard lock(mu_);
    const auto take_oldest = [&](std::vector<std::string>& kept) {
      surplus.push_back(std::move(kept.front()));
      kept.erase(kept.begin());
    };
    auto& own = kept_[repository];
    if (own.size() > options_.max_kept_per_repository) take_oldest(own);
    std::size_t all = 0;
    for (const auto& [name, kept] : kept_) all += kept.size();
    for (auto& [name, kept] : kept_) {
      if (all <= options_.max_kept) break;
      if (kept.empty() || name == repository) continue;
      take_oldest(kept);
      --all;
    }
    if (all > options_.max_kept && !own.empty()) take_oldest(own);
  }
  for (const std::string& slot : surplus) DropSlot(slot);
}

void WorkTrees::DropSlot(const std::string& slot) {
  // Without its record nothing of it is used again, even when it cannot be moved now.
  unlink((slot + "/record").c_str());
  (void)mirrors_.trash().Put(slot);
}

}  // namespace slipway::workspace
