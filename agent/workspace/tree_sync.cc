#include "agent/workspace/tree_sync.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "agent/workspace/file_support.h"
#include "agent/workspace/trash.h"
#include "common/base/time.h"
#include "common/status/status.h"

namespace slipway::workspace {
namespace {

using absl::StatusCode;

constexpr int kMaxDepth = 100;
constexpr mode_t kDirectoryMode = 0755;
// Above this, renaming one by one costs more than starting from nothing.
constexpr std::uint64_t kMaxRemoved = 20'000;

absl::Status TooLarge(std::string_view what) {
  return MakeError(StatusCode::kFailedPrecondition, "REPOSITORY_TOO_LARGE",
                   fmt::format("the commit has {}", what),
                   "Make the repository smaller, or ask the operator to raise the limit.");
}

absl::Status Unsafe(std::string_view path, std::string_view what) {
  return MakeError(StatusCode::kFailedPrecondition, "REPOSITORY_REFUSED",
                   fmt::format("the commit has {} at '{}'", what, path),
                   "Run 'git fsck' in the repository and rewrite the commits it names.");
}

bool IsSafeName(std::string_view name) {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") return false;
  if (name.find('/') != std::string_view::npos) return false;
  if (name.size() != 4 || name[0] != '.') return true;
  const auto lower = [&](std::size_t i) { return static_cast<char>(name[i] | 0x20); };
  return !(lower(1) == 'g' && lower(2) == 'i' && lower(3) == 't');
}

class Syncer {
 public:
  Syncer(git_repository* repository, const TreeRecord& before, const WorkTreeOptions& options,
         Trash& trash, const std::stop_token& stop)
      : repository_(repository),
        before_(before),
        options_(options),
        trash_(trash),
        stop_(stop),
        owned_(geteuid() == 0) {}

  absl::StatusOr<SyncResult> Run(git_commit* commit, int root_fd) {
    git_tree* raw = nullptr;
    if (git_commit_tree(&raw, commit) != 0) return StatusFromGit2("cannot read the commit");
    const TreePtr tree(raw);
    git_odb* raw_odb = nullptr;
    if (git_repository_odb(&raw_odb, repository_) != 0)
      return StatusFromGit2("cannot read objects");
    odb_.reset(raw_odb);
    git_oid_cpy(&commit_id_, git_commit_id(commit));
    SLIPWAY_RETURN_IF_ERROR(Survey(tree.get(), "", 0));
    result_.record.boot = CurrentBoot();
    result_.record.conversion = fmt::format("{}:{}:{}:{}", owned_, options_.uid, options_.gid,
                                            attributes_.empty() ? "" : HashName(attributes_));
    trusted_ =
        before_.boot == result_.record.boot && before_.conversion == result_.record.conversion;
    result_.record.files.reserve(files_);
    SLIPWAY_RETURN_IF_ERROR(FixDirectory(root_fd, ""));
    SLIPWAY_RETURN_IF_ERROR(SyncDirectory(tree.get(), root_fd, ""));
    WaitForTick();
    return std::move(result_);
  }

 private:
  // Counts and checks everything before the first byte is written: names, depth, size.
  absl::Status Survey(const git_tree* tree, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) return TooLarge(fmt::format("more than {} levels", kMaxDepth));
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree, i);
      const std::string_view name = git_tree_entry_name(entry);
      const std::string path = prefix + std::string(name);
      if (!IsSafeName(name)) return Unsafe(path, "a forbidden name");
      if (++files_ > options_.max_files) {
        return TooLarge(fmt::format("more than {} files", options_.max_files));
      }
      if (files_ % 256 == 0 && stop_.stop_requested()) {
        return absl::CancelledError("canceled while reading the commit");
      }
      if (git_tree_entry_filemode(entry) == GIT_FILEMODE_TREE) {
        SLIPWAY_ASSIGN_OR_RETURN(const TreePtr child, Subtree(entry));
        SLIPWAY_RETURN_IF_ERROR(Survey(child.get(), path + "/", depth + 1));
      } else if (name == ".gitattributes") {
        attributes_ += path + '\0' + HexOf(*git_tree_entry_id(entry)) + '\n';
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<TreePtr> Subtree(const git_tree_entry* entry) {
    git_tree* raw = nullptr;
    if (git_tree_lookup(&raw, repository_, git_tree_entry_id(entry)) != 0) {
      return StatusFromGit2("cannot read a directory of the commit");
    }
    return TreePtr(raw);
  }

  // `tree` may be nullptr: an empty directory.
  absl::Status SyncDirectory(const git_tree* tree, int fd, const std::string& prefix) {
    SLIPWAY_RETURN_IF_ERROR(RemoveStrangers(tree, fd));
    if (tree == nullptr) return absl::OkStatus();
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree, i);
      const std::string name = git_tree_entry_name(entry);
      const std::string path = prefix + name;
      const auto mode = git_tree_entry_filemode(entry);
      if (mode == GIT_FILEMODE_TREE || mode == GIT_FILEMODE_COMMIT) {
        SLIPWAY_ASSIGN_OR_RETURN(const Fd child, EnterDirectory(fd, name, path));
        TreePtr subtree;
        if (mode == GIT_FILEMODE_TREE) {
          SLIPWAY_ASSIGN_OR_RETURN(subtree, Subtree(entry));
        }
        SLIPWAY_RETURN_IF_ERROR(SyncDirectory(subtree.get(), child.get(), path + "/"));
      } else {
        SLIPWAY_RETURN_IF_ERROR(SyncFile(entry, fd, name, path));
      }
    }
    return absl::OkStatus();
  }

  absl::Status RemoveStrangers(const git_tree* tree, int fd) {
    const int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) return ErrnoError(errno, "cannot list the work tree");
    DIR* raw = fdopendir(copy);
    if (raw == nullptr) {
      close(copy);
      return ErrnoError(errno, "cannot list the work tree");
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(raw, closedir);
    std::vector<std::string> strangers;
    errno = 0;
    while (const dirent* item = readdir(raw)) {
      const std::string_view name = item->d_name;
      if (name == "." || name == "..") continue;
      if (tree != nullptr && git_tree_entry_byname(tree, item->d_name) != nullptr) continue;
      strangers.emplace_back(name);
      if (result_.removed + strangers.size() > kMaxRemoved) {
        return MakeError(StatusCode::kFailedPrecondition, "", "too much to clean in the work tree");
      }
    }
    if (errno != 0) return ErrnoError(errno, "cannot list the work tree");
    for (const std::string& name : strangers) {
      SLIPWAY_RETURN_IF_ERROR(trash_.PutAt(fd, name));
      ++result_.removed;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Fd> EnterDirectory(int parent, const std::string& name, const std::string& path) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    Fd fd(openat(parent, name.c_str(), kFlags));
    if (!fd.valid()) {
      SLIPWAY_RETURN_IF_ERROR(trash_.PutAt(parent, name));
      if (mkdirat(parent, name.c_str(), 0700) != 0) return ErrnoError(errno, "cannot make " + path);
      fd = Fd(openat(parent, name.c_str(), kFlags));
      if (!fd.valid()) return ErrnoError(errno, "cannot open " + path);
    }
    SLIPWAY_RETURN_IF_ERROR(FixDirectory(fd.get(), path));
    return fd;
  }

  // Owner, mode and no extended attributes, such as a default ACL.
  absl::Status FixDirectory(int fd, const std::string& path) {
    struct stat info {};
    if (fstat(fd, &info) != 0) return ErrnoError(errno, "cannot read " + path);
    if (owned_ && (info.st_uid != options_.uid || info.st_gid != options_.gid) &&
        fchown(fd, options_.uid, options_.gid) != 0) {
      return ErrnoError(errno, "cannot give away " + path);
    }
    std::array<char, 4096> names;
    const ssize_t size = flistxattr(fd, names.data(), names.size());
    if (size < 0 && errno != ENOTSUP) return ErrnoError(errno, "cannot read " + path);
    for (ssize_t at = 0; at < size;) {
      const std::string_view name(names.data() + at);
      // security.* belongs to the machine.
      if (name.rfind("security.", 0) != 0 && fremovexattr(fd, name.data()) != 0 &&
          errno != ENODATA) {
        return ErrnoError(errno, "cannot clean " + path);
      }
      at += static_cast<ssize_t>(name.size()) + 1;
    }
    if ((info.st_mode & 07777) != kDirectoryMode && fchmod(fd, kDirectoryMode) != 0) {
      return ErrnoError(errno, "cannot set the mode of " + path);
    }
    return absl::OkStatus();
  }

  absl::Status SyncFile(const git_tree_entry* entry, int fd, const std::string& name,
                        const std::string& path) {
    RecordedFile file;
    file.blob = HexOf(*git_tree_entry_id(entry));
    file.mode = static_cast<std::uint32_t>(git_tree_entry_filemode(entry));
    struct stat info {};
    const bool present = fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
    if (present && trusted_) {
      const auto known = before_.files.find(path);
      if (known != before_.files.end() && known->second.blob == file.blob &&
          known->second.mode == file.mode && known->second.stamp == FileStamp::Of(info)) {
        file.stamp = known->second.stamp;
        SLIPWAY_RETURN_IF_ERROR(CountBytes(info.st_size));
        result_.record.files.emplace(path, std::move(file));
        return absl::OkStatus();
      }
    }
    if (present) SLIPWAY_RETURN_IF_ERROR(trash_.PutAt(fd, name));
    if (++result_.written % 64 == 0 && stop_.stop_requested()) {
      return absl::CancelledError("canceled during the checkout");
    }
    SLIPWAY_ASSIGN_OR_RETURN(const BlobPtr blob, ReadBlob(entry, path));
    const std::string_view content(static_cast<const char*>(git_blob_rawcontent(blob.get())),
                                   static_cast<std::size_t>(git_blob_rawsize(blob.get())));
    if (file.mode == GIT_FILEMODE_LINK) {
      SLIPWAY_RETURN_IF_ERROR(MakeLink(content, fd, name, path, info));
    } else {
      SLIPWAY_RETURN_IF_ERROR(MakeFile(blob.get(), content, file.mode, fd, name, path, info));
    }
    file.stamp = FileStamp::Of(info);
    newest_ctime_ns_ = std::max(newest_ctime_ns_, file.stamp.ctime_ns);
    result_.record.files.emplace(path, std::move(file));
    return absl::OkStatus();
  }

  absl::Status CountBytes(std::int64_t size) {
    bytes_ += size;
    if (bytes_ <= options_.max_bytes) return absl::OkStatus();
    return TooLarge(fmt::format("more than {} bytes", options_.max_bytes));
  }

  absl::StatusOr<BlobPtr> ReadBlob(const git_tree_entry* entry, const std::string& path) {
    std::size_t size = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    if (git_odb_read_header(&size, &type, odb_.get(), git_tree_entry_id(entry)) != 0) {
      return StatusFromGit2("cannot read " + path);
    }
    if (size > static_cast<std::size_t>(options_.max_file_bytes)) {
      return TooLarge(fmt::format("a file of {} bytes, '{}'", size, path));
    }
    SLIPWAY_RETURN_IF_ERROR(CountBytes(static_cast<std::int64_t>(size)));
    git_blob* raw = nullptr;
    if (git_blob_lookup(&raw, repository_, git_tree_entry_id(entry)) != 0) {
      return StatusFromGit2("cannot read " + path);
    }
    return BlobPtr(raw);
  }

  absl::Status MakeLink(std::string_view content, int fd, const std::string& name,
                        const std::string& path, struct stat& info) {
    if (content.empty() || content.size() > 4095 || content.find('\0') != std::string_view::npos) {
      return Unsafe(path, "an impossible symbolic link");
    }
    if (symlinkat(std::string(content).c_str(), fd, name.c_str()) != 0) {
      return ErrnoError(errno, "cannot make " + path);
    }
    if (owned_ &&
        fchownat(fd, name.c_str(), options_.uid, options_.gid, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoError(errno, "cannot give away " + path);
    }
    if (fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoError(errno, "cannot read " + path);
    }
    return absl::OkStatus();
  }

  absl::Status MakeFile(git_blob* blob, std::string_view content, std::uint32_t mode, int fd,
                        const std::string& name, const std::string& path, struct stat& info) {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const Fd file(openat(fd, name.c_str(), kFlags, 0600));
    if (!file.valid()) return ErrnoError(errno, "cannot make " + path);
    if (attributes_.empty()) {
      SLIPWAY_RETURN_IF_ERROR(WriteAll(file.get(), content, path));
    } else {
      SLIPWAY_RETURN_IF_ERROR(WriteFiltered(blob, content, file.get(), path));
    }
    if (owned_ && fchown(file.get(), options_.uid, options_.gid) != 0) {
      return ErrnoError(errno, "cannot give away " + path);
    }
    if (fchmod(file.get(), mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644) != 0) {
      return ErrnoError(errno, "cannot set the mode of " + path);
    }
    if (fstat(file.get(), &info) != 0) return ErrnoError(errno, "cannot read " + path);
    return absl::OkStatus();
  }

  // Line ends as .gitattributes of the commit say.
  absl::Status WriteFiltered(git_blob* blob, std::string_view content, int fd,
                             const std::string& path) {
    git_filter_options options = GIT_FILTER_OPTIONS_INIT;
    options.flags = GIT_FILTER_ATTRIBUTES_FROM_COMMIT | GIT_FILTER_NO_SYSTEM_ATTRIBUTES |
                    GIT_FILTER_ALLOW_UNSAFE;
    git_oid_cpy(&options.attr_commit_id, &commit_id_);
    git_filter_list* raw = nullptr;
    if (git_filter_list_load_ext(&raw, repository_, blob, path.c_str(), GIT_FILTER_TO_WORKTREE,
                                 &options) != 0) {
      return StatusFromGit2("cannot read the attributes of " + path);
    }
    if (raw == nullptr) return WriteAll(fd, content, path);
    const Git2Ptr<git_filter_list, git_filter_list_free> filters(raw);
    git_buf converted = GIT_BUF_INIT;
    if (git_filter_list_apply_to_blob(&converted, raw, blob) != 0) {
      return StatusFromGit2("cannot convert " + path);
    }
    const absl::Status status = WriteAll(fd, {converted.ptr, converted.size}, path);
    git_buf_dispose(&converted);
    return status;
  }

  // A ctime has the grain of the kernel's tick: a change within the tick of our own write would
  // look like none, so nobody gets the tree before the tick is over.
  void WaitForTick() const {
    if (newest_ctime_ns_ == 0) return;
    // 100 Hz, the slowest a kernel is built for.
    constexpr Duration kTick = std::chrono::milliseconds(10);
    const WallTime over = WallTime(Duration(newest_ctime_ns_)) + kTick;
    std::mutex mu;
    std::condition_variable pause;
    // Bounded, for a clock that was set back.
    for (int i = 0; i < 20 && SystemClock().Wall() <= over; ++i) {
      std::unique_lock lock(mu);
      pause.wait_for(lock, std::chrono::milliseconds(1));
    }
  }

  git_repository* const repository_;
  const TreeRecord& before_;
  const WorkTreeOptions& options_;
  Trash& trash_;
  const std::stop_token& stop_;
  const bool owned_;
  OdbPtr odb_;
  git_oid commit_id_{};
  // Path and blob of every .gitattributes.
  std::string attributes_;
  bool trusted_ = false;
  std::uint64_t files_ = 0;
  std::int64_t bytes_ = 0;
  std::int64_t newest_ctime_ns_ = 0;
  SyncResult result_;
};

}  // namespace

absl::StatusOr<SyncResult> SyncTree(git_repository* repository, std::string_view commit,
                                    int root_fd, const TreeRecord& before,
                                    const WorkTreeOptions& options, Trash& trash,
                                    const std::stop_token& stop) {
  SLIPWAY_ASSIGN_OR_RETURN(const CommitPtr found, FindCommit(repository, commit));
  return Syncer(repository, before, options, trash, stop).Run(found.get(), root_fd);
}

}  // namespace slipway::workspace
