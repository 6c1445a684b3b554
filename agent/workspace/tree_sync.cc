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
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/workspace/tree_survey.h"
#include "common/fs/boot_id.h"
#include "common/fs/unique_fd.h"
#include "common/git/file_support.h"
#include "common/git/trash.h"
#include "common/status/status.h"

namespace slipway::workspace {
namespace {

using absl::StatusCode;

constexpr mode_t kDirectoryMode = 0755;
constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// Above this, renaming one by one costs more than starting from nothing.
constexpr std::uint64_t kMaxRemoved = 20'000;

class Syncer {
 public:
  Syncer(git_repository* repository, TreeRecord before, const WorkTreeOptions& options,
         git::Trash& trash, const std::stop_token& stop)
      : repository_(repository),
        before_(std::move(before)),
        options_(options),
        trash_(trash),
        stop_(stop),
        owned_(geteuid() == 0) {}

  absl::StatusOr<SyncResult> Run(git_commit* commit, int root_fd, TreeTrust trust) {
    SLIPWAY_ASSIGN_OR_RETURN(const git::TreePtr tree, git::TreeOf(commit));
    git_odb* raw_odb = nullptr;
    if (git_repository_odb(&raw_odb, repository_) != 0)
      return git::StatusFromGit2("cannot read objects");
    odb_.reset(raw_odb);
    git_oid_cpy(&commit_id_, git_commit_id(commit));
    TreeRecord& record = result_.record;
    record.commit = git::HexOf(commit_id_);
    record.boot = fs::BootId();
    record.owner = fmt::format("{}:{}:{}", owned_, options_.uid, options_.gid);
    const bool same_owner = before_.boot == record.boot && before_.owner == record.owner;
    if (trust == TreeTrust::kUntouched && same_owner) {
      SLIPWAY_ASSIGN_OR_RETURN(const bool updated, Update(tree.get(), root_fd));
      if (updated) return std::move(result_);
    }
    SLIPWAY_ASSIGN_OR_RETURN(const TreeSurvey survey,
                             SurveyTree(repository_, tree.get(), options_, stop_));
    Begin(survey);
    trusted_ = same_owner && before_.attributes == record.attributes;
    SLIPWAY_RETURN_IF_ERROR(FixDirectory(root_fd, ""));
    SLIPWAY_RETURN_IF_ERROR(SyncDirectory(tree.get(), root_fd, ""));
    return std::move(result_);
  }

 private:
  void Begin(const TreeSurvey& survey) {
    TreeRecord& record = result_.record;
    record.entries = survey.entries;
    record.attributes = survey.attributes;
    record.files.reserve(survey.entries);
  }

  // Brings an untouched tree to the new commit. False: nothing was done; everything has to be
  // looked at, because the record's commit is not here any more or files are converted anew.
  absl::StatusOr<bool> Update(const git_tree* tree, int root_fd) {
    const absl::StatusOr<git::CommitPtr> commit = git::FindCommit(repository_, before_.commit);
    if (!commit.ok()) return false;
    SLIPWAY_ASSIGN_OR_RETURN(const git::TreePtr old, git::TreeOf(commit->get()));
    SLIPWAY_ASSIGN_OR_RETURN(const std::optional<ChangeSurvey> survey,
                             SurveyChanges(repository_, tree, old.get(), before_, options_, stop_));
    if (!survey) return false;
    Begin(survey->tree);
    bytes_ = survey->kept_bytes;
    SLIPWAY_RETURN_IF_ERROR(UpdateDirectory(tree, old.get(), root_fd, ""));
    return true;
  }

  // For a directory that is exactly `old`: touches only what differs.
  absl::Status UpdateDirectory(const git_tree* tree, const git_tree* old, int fd,
                               const std::string& prefix) {
    for (std::size_t i = 0; i < git_tree_entrycount(old); ++i) {
      const git_tree_entry* gone = git_tree_entry_byindex(old, i);
      if (git::FindLike(tree, gone) != nullptr) continue;
      SLIPWAY_RETURN_IF_ERROR(trash_.PutAt(fd, git_tree_entry_name(gone)));
      ++result_.removed;
    }
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree, i);
      const git_tree_entry* before = git::FindLike(old, entry);
      const std::string name = git_tree_entry_name(entry);
      const std::string path = prefix + name;
      if (before != nullptr && git::AreSame(entry, before)) {
        KeepRecords(git::IsTree(entry) ? path + "/" : path);
      } else if (before != nullptr && git::IsTree(entry) && git::IsTree(before)) {
        const fs::UniqueFd child(openat(fd, name.c_str(), kOpenDirectory));
        if (!child.valid()) return ErrnoError(errno, "cannot open " + path);
        SLIPWAY_ASSIGN_OR_RETURN(const git::TreePtr subtree, git::Subtree(repository_, entry));
        SLIPWAY_ASSIGN_OR_RETURN(const git::TreePtr old_subtree, git::Subtree(repository_, before));
        SLIPWAY_RETURN_IF_ERROR(
            UpdateDirectory(subtree.get(), old_subtree.get(), child.get(), path + "/"));
      } else {
        SLIPWAY_RETURN_IF_ERROR(SyncEntry(entry, fd, name, path));
      }
    }
    return absl::OkStatus();
  }

  // What is recorded of a file, or of everything below a directory ("…/"), stays.
  void KeepRecords(const std::string& path) {
    const bool directory = path.back() == '/';
    for (RecordedFile* file = Recorded(path); file != nullptr; file = Next()) {
      if (directory ? file->path.rfind(path, 0) != 0 : file->path != path) break;
      result_.record.files.push_back(std::move(*file));
      ++at_;
    }
  }

  // The first record at or behind `path`. Paths are asked for in the order of the record; one that
  // is not, in a tree that git would not have made, has no record.
  RecordedFile* Recorded(const std::string& path) {
    while (at_ < before_.files.size() && before_.files[at_].path < path) ++at_;
    return Next();
  }
  RecordedFile* Next() { return at_ < before_.files.size() ? &before_.files[at_] : nullptr; }

  // `tree` may be nullptr: an empty directory.
  absl::Status SyncDirectory(const git_tree* tree, int fd, const std::string& prefix) {
    SLIPWAY_RETURN_IF_ERROR(RemoveStrangers(tree, fd));
    if (tree == nullptr) return absl::OkStatus();
    for (std::size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree, i);
      const std::string name = git_tree_entry_name(entry);
      SLIPWAY_RETURN_IF_ERROR(SyncEntry(entry, fd, name, prefix + name));
    }
    return absl::OkStatus();
  }

  absl::Status SyncEntry(const git_tree_entry* entry, int fd, const std::string& name,
                         const std::string& path) {
    const auto mode = git_tree_entry_filemode(entry);
    if (mode != GIT_FILEMODE_TREE && mode != GIT_FILEMODE_COMMIT) {
      return SyncFile(entry, fd, name, path);
    }
    SLIPWAY_ASSIGN_OR_RETURN(const fs::UniqueFd child, EnterDirectory(fd, name, path));
    git::TreePtr subtree;
    if (mode == GIT_FILEMODE_TREE) {
      SLIPWAY_ASSIGN_OR_RETURN(subtree, git::Subtree(repository_, entry));
    }
    return SyncDirectory(subtree.get(), child.get(), path + "/");
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

  absl::StatusOr<fs::UniqueFd> EnterDirectory(int parent, const std::string& name,
                                              const std::string& path) {
    fs::UniqueFd fd(openat(parent, name.c_str(), kOpenDirectory));
    if (!fd.valid()) {
      SLIPWAY_RETURN_IF_ERROR(trash_.PutAt(parent, name));
      if (mkdirat(parent, name.c_str(), 0700) != 0) return ErrnoError(errno, "cannot make " + path);
      fd = fs::UniqueFd(openat(parent, name.c_str(), kOpenDirectory));
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
    if (++looked_at_ % 256 == 0 && stop_.stop_requested()) {
      return absl::CancelledError("canceled during the checkout");
    }
    const git_oid& blob_id = *git_tree_entry_id(entry);
    const auto mode = static_cast<std::uint32_t>(git_tree_entry_filemode(entry));
    struct stat info {};
    const bool present = fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
    RecordedFile* known = Recorded(path);
    if (present && trusted_ && known != nullptr && known->path == path && known->mode == mode &&
        git_oid_equal(&known->blob, &blob_id) != 0 && known->stamp == FileStamp::Of(info)) {
      SLIPWAY_RETURN_IF_ERROR(CountBytes(info.st_size));
      result_.record.files.push_back(std::move(*known));
      ++at_;
      return absl::OkStatus();
    }
    if (present) SLIPWAY_RETURN_IF_ERROR(trash_.PutAt(fd, name));
    if (++result_.written % 64 == 0 && stop_.stop_requested()) {
      return absl::CancelledError("canceled during the checkout");
    }
    RecordedFile file;
    file.path = path;
    git_oid_cpy(&file.blob, &blob_id);
    file.mode = mode;
    SLIPWAY_ASSIGN_OR_RETURN(const git::BlobPtr blob, ReadBlob(entry, path));
    const std::string_view content(static_cast<const char*>(git_blob_rawcontent(blob.get())),
                                   static_cast<std::size_t>(git_blob_rawsize(blob.get())));
    if (file.mode == GIT_FILEMODE_LINK) {
      SLIPWAY_RETURN_IF_ERROR(MakeLink(content, fd, name, path, info));
    } else {
      SLIPWAY_RETURN_IF_ERROR(MakeFile(blob.get(), content, file.mode, fd, name, path, info));
    }
    file.stamp = FileStamp::Of(info);
    result_.newest_ctime_ns = std::max(result_.newest_ctime_ns, file.stamp.ctime_ns);
    result_.record.files.push_back(std::move(file));
    return absl::OkStatus();
  }

  absl::Status CountBytes(std::int64_t size) {
    bytes_ += size;
    if (bytes_ <= options_.max_bytes) return absl::OkStatus();
    return TooLarge(fmt::format("more than {} bytes", options_.max_bytes));
  }

  absl::StatusOr<git::BlobPtr> ReadBlob(const git_tree_entry* entry, const std::string& path) {
    std::size_t size = 0;
    git_object_t type = GIT_OBJECT_INVALID;
    if (git_odb_read_header(&size, &type, odb_.get(), git_tree_entry_id(entry)) != 0) {
      return git::StatusFromGit2("cannot read " + path);
    }
    if (size > static_cast<std::size_t>(options_.max_file_bytes)) {
      return TooLarge(fmt::format("a file of {} bytes, '{}'", size, path));
    }
    SLIPWAY_RETURN_IF_ERROR(CountBytes(static_cast<std::int64_t>(size)));
    git_blob* raw = nullptr;
    if (git_blob_lookup(&raw, repository_, git_tree_entry_id(entry)) != 0) {
      return git::StatusFromGit2("cannot read " + path);
    }
    return git::BlobPtr(raw);
  }

  absl::Status MakeLink(std::string_view content, int fd, const std::string& name,
                        const std::string& path, struct stat& info) {
    if (content.empty() || content.size() > 4095 || content.find('\0') != std::string_view::npos) {
      return UnsafeEntry(path, "an impossible symbolic link");
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
    const fs::UniqueFd file(openat(fd, name.c_str(), kFlags, 0600));
    if (!file.valid()) return ErrnoError(errno, "cannot make " + path);
    if (result_.record.attributes.empty()) {
      SLIPWAY_RETURN_IF_ERROR(git::WriteAll(file.get(), content, path));
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
      return git::StatusFromGit2("cannot read the attributes of " + path);
    }
    if (raw == nullptr) return git::WriteAll(fd, content, path);
    const git::Git2Ptr<git_filter_list, git_filter_list_free> filters(raw);
    git_buf converted = GIT_BUF_INIT;
    if (git_filter_list_apply_to_blob(&converted, raw, blob) != 0) {
      return git::StatusFromGit2("cannot convert " + path);
    }
    const absl::Status status = git::WriteAll(fd, {converted.ptr, converted.size}, path);
    git_buf_dispose(&converted);
    return status;
  }

  git_repository* const repository_;
  // Its files are moved into the new record as they are passed, up to at_.
  TreeRecord before_;
  std::size_t at_ = 0;
  const WorkTreeOptions& options_;
  git::Trash& trash_;
  const std::stop_token& stop_;
  const bool owned_;
  git::OdbPtr odb_;
  git_oid commit_id_{};
  bool trusted_ = false;
  std::uint64_t looked_at_ = 0;
  std::int64_t bytes_ = 0;
  SyncResult result_;
};

}  // namespace

absl::StatusOr<SyncResult> SyncTree(git_repository* repository, std::string_view commit,
                                    int root_fd, TreeRecord before, TreeTrust trust,
                                    const WorkTreeOptions& options, git::Trash& trash,
                                    const std::stop_token& stop) {
  SLIPWAY_ASSIGN_OR_RETURN(const git::CommitPtr found, git::FindCommit(repository, commit));
  return Syncer(repository, std::move(before), options, trash, stop)
      .Run(found.get(), root_fd, trust);
}

}  // namespace slipway::workspace
