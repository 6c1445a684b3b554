#include "common/git/mirror_cache.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <vector>

#include "common/config/document.h"
#include "common/fs/unique_fd.h"
#include "common/git/file_support.h"
#include "common/git/git2_support.h"
#include "common/git/git_program.h"
#include "common/git/tool_words.h"
#include "common/git/trash.h"
#include "common/status/status.h"

namespace slipway::git {
namespace {

using absl::StatusCode;

constexpr std::size_t kMaxRef = 512;
constexpr std::size_t kMaxPacks = 40;

absl::Status UnknownRef(std::string_view ref, const std::string& near) {
  return MakeError(StatusCode::kNotFound, "REF_UNKNOWN",
                   fmt::format("the repository has no branch, tag or commit '{}'{}", ref,
                               near.empty() ? "" : fmt::format("; did you mean {}?", near)),
                   "Check the name, and that it was pushed.");
}

// As git-check-ref-format, as far as it keeps a ref from being anything else.
bool IsRefText(std::string_view ref) {
  if (ref.size() > kMaxRef || ref.front() == '-' || ref.front() == '/' || ref.back() == '/') {
    return false;
  }
  if (ref.find("..") != std::string_view::npos || ref.find("@{") != std::string_view::npos) {
    return false;
  }
  return std::none_of(ref.begin(), ref.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == 0x7f ||
           std::string_view("~^:?*[\\").find(c) != std::string_view::npos;
  });
}

bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// An exclusive lock between threads and processes, kept while the object lives.
class MirrorLock {
 public:
  static absl::StatusOr<MirrorLock> Take(const std::string& path, MonoTime deadline,
                                         const std::stop_token& stop, const std::string& program) {
    fs::UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.valid()) return ErrnoError(errno, "cannot open " + path);
    // flock has no deadline; the wait is rare and short beside a fetch.
    std::mutex mu;
    std::condition_variable_any pause;
    while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return ErrnoError(errno, "cannot lock " + path);
      if (stop.stop_requested()) return absl::CancelledError("canceled while waiting for a fetch");
      if (SystemClock().Mono() >= deadline) {
        return MakeError(
            StatusCode::kDeadlineExceeded, "REPOSITORY_TIMEOUT",
            "another fetch of the same repository did not end in time",
            fmt::format("Try again, or raise the fetch timeout in the {}'s options.", program));
      }
      std::unique_lock lock(mu);
      pause.wait_for(lock, stop, std::chrono::milliseconds(10), [] { return false; });
    }
    return MirrorLock(std::move(fd));
  }

 private:
  explicit MirrorLock(fs::UniqueFd fd) : fd_(std::move(fd)) {}
  fs::UniqueFd fd_;
};

// With fsckObjects git keeps one pack per fetch; readers look through all of them.
std::size_t CountPacks(const std::string& git_dir) {
  std::size_t packs = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it(git_dir + "/objects/pack", error), end;
       !error && it != end; it.increment(error)) {
    packs += it->path().extension() == ".pack" ? 1 : 0;
  }
  return packs;
}

// What a git that was ended, or that refused what came, has left half written: it never takes that
// away, and each try would leave some more. REQUIRES: the mirror's lock.
void DropRemains(const std::string& git_dir) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(git_dir + "/objects/pack", error), end;
       !error && it != end; it.increment(error)) {
    if (it->path().filename().string().rfind("tmp_", 0) != 0) continue;
    std::error_code stays;
    std::filesystem::remove(it->path(), stays);
  }
}

bool HasCommit(const std::string& dir, std::string_view commit) {
  const auto repository = OpenRepository(dir);
  return repository.ok() && FindCommit(repository->get(), commit).ok();
}

std::string NearRefs(git_repository* repository, std::string_view ref) {
  git_strarray names{};
  if (git_reference_list(&names, repository) != 0) return "";
  std::vector<std::string> words;
  std::string beginning;
  for (std::size_t i = 0; i < names.count; ++i) {
    std::string_view name = names.strings[i];
    if (name.rfind("refs/heads/", 0) == 0) name.remove_prefix(11);
    if (name.rfind("refs/tags/", 0) == 0) name.remove_prefix(10);
    if (name.rfind("refs/", 0) == 0) continue;
    // "feature" for "feature/login", "login" for "feature/login".
    const bool part = ref.size() >= 3 && name.find(ref) != std::string_view::npos;
    if (part && beginning.size() < 120) {
      beginning += fmt::format("{}'{}'", beginning.empty() ? "" : " or ", name);
    }
    words.emplace_back(name);
  }
  git_strarray_dispose(&names);
  const std::string near = config::NearestWord(ref, words);
  return near.empty() ? beginning : fmt::format("'{}'", near);
}

// nullopt: `name` is not a ref here. A ref that names no commit is an error.
absl::StatusOr<std::optional<std::string>> CommitOfRef(git_repository* repository,
                                                       const std::string& name) {
  git_reference* raw = nullptr;
  const int error = git_reference_lookup(&raw, repository, name.c_str());
  if (error == GIT_ENOTFOUND || error == GIT_EINVALIDSPEC) return std::nullopt;
  if (error != 0) return StatusFromGit2("cannot read " + name);
  const ReferencePtr reference(raw);
  git_object* peeled = nullptr;
  if (const int peel = git_reference_peel(&peeled, raw, GIT_OBJECT_COMMIT); peel != 0) {
    if (peel != GIT_EPEEL && peel != GIT_EINVALIDSPEC) return StatusFromGit2("cannot read " + name);
    return MakeError(StatusCode::kNotFound, "REF_UNKNOWN", name + " does not name a commit",
                     "Use a branch, or a tag of a commit.");
  }
  const ObjectPtr object(peeled);
  return HexOf(*git_object_id(peeled));
}

absl::StatusOr<ResolvedRef> DefaultBranch(git_repository* repository) {
  SLIPWAY_ASSIGN_OR_RETURN(const auto commit, CommitOfRef(repository, kDefaultBranchRef));
  if (!commit) return UnknownRef("HEAD", "");
  // The transfer tells the commit of HEAD, not its branch; the usual names go first.
  for (const char* usual : {"main", "master", "trunk", "develop"}) {
    const auto same = CommitOfRef(repository, std::string("refs/heads/") + usual);
    if (same.ok() && *same == commit) return ResolvedRef{*commit, RefKind::kBranch, usual};
  }
  return ResolvedRef{*commit, RefKind::kCommit, ""};
}

absl::StatusOr<ResolvedRef> ResolveIn(const std::string& dir, std::string_view ref) {
  SLIPWAY_ASSIGN_OR_RETURN(const RepositoryPtr repository, OpenRepository(dir));
  if (ref.empty()) return DefaultBranch(repository.get());
  struct Place {
    std::string_view prefix;
    RefKind kind;
  };
  for (const Place& place :
       {Place{"refs/heads/", RefKind::kBranch}, {"refs/tags/", RefKind::kTag}}) {
    // Git lets a branch be called like a commit; who names a commit means that one.
    if (IsFullCommitId(ref)) break;
    const bool full = ref.rfind(place.prefix, 0) == 0;
    const std::string name = full ? std::string(ref) : fmt::format("{}{}", place.prefix, ref);
    SLIPWAY_ASSIGN_OR_RETURN(const auto commit, CommitOfRef(repository.get(), name));
    if (commit) return ResolvedRef{*commit, place.kind, name.substr(place.prefix.size())};
  }
  if (ref.size() >= 7 && ref.size() <= GIT_OID_HEXSZ && IsHex(ref)) {
    git_oid prefix;
    git_object* raw = nullptr;
    if (git_oid_fromstrn(&prefix, ref.data(), ref.size()) == 0) {
      const int error =
          git_object_lookup_prefix(&raw, repository.get(), &prefix, ref.size(), GIT_OBJECT_COMMIT);
      if (error == 0) {
        const ObjectPtr object(raw);
        return ResolvedRef{HexOf(*git_object_id(raw)), RefKind::kCommit, ""};
      }
      if (error == GIT_EAMBIGUOUS) {
        return MakeError(StatusCode::kNotFound, "REF_UNKNOWN",
                         fmt::format("several commits begin with '{}'", ref),
                         "Use more digits of the commit id.");
      }
    }
  }
  return UnknownRef(ref, NearRefs(repository.get(), ref));
}

// When the mirror of this lock file was asked for last; the file is made with the mirror.
std::optional<WallTime> LastUsed(const std::string& lock_path) {
  struct stat info {};
  if (lstat(lock_path.c_str(), &info) != 0) return std::nullopt;
  return WallTime(std::chrono::seconds(info.st_mtim.tv_sec) +
                  std::chrono::nanoseconds(info.st_mtim.tv_nsec));
}

void NoteUse(const std::string& lock_path) {
  (void)utimensat(AT_FDCWD, lock_path.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
}

std::string Joined(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ":") + word;
  return text;
}

}  // namespace

struct MirrorCache::Mirror {
  RepositoryUrl url;
  std::string dir;
  std::string lock_path;
  const Source::Credential* credential = nullptr;
};

MirrorCache::MirrorCache(MirrorOptions options) : options_(std::move(options)) {}
MirrorCache::~MirrorCache() = default;

absl::StatusOr<std::unique_ptr<MirrorCache>> MirrorCache::Create(MirrorOptions options) {
  if (options.work_dir.empty() || options.work_dir.front() != '/') {
    return MakeError(
        StatusCode::kInvalidArgument, "",
        fmt::format("the work directory '{}' is not an absolute path", options.work_dir));
  }
  std::unique_ptr<MirrorCache> cache(new MirrorCache(std::move(options)));
  const std::string& dir = cache->options_.work_dir;
  SLIPWAY_RETURN_IF_ERROR(MakeDirs(dir + "/mirrors"));
  if (chmod((dir + "/mirrors").c_str(), 0700) != 0) {
    return ErrnoError(errno, "cannot protect " + dir + "/mirrors");
  }
  const bool local = cache->options_.allowed_schemes.contains("file");
  const std::string config = dir + "/mirrors/gitconfig";
  const std::string text = GitConfigText(local);
  // A program has to begin on a full disk, too: an agent has builds to take up, caches to remove.
  const absl::StatusOr<std::string> there = ReadWholeFile(config, text.size() + 1);
  if (!there.ok() || *there != text) {
    SLIPWAY_RETURN_IF_ERROR(WriteFileAtomically(config, text));
  }
  SLIPWAY_ASSIGN_OR_RETURN(cache->trash_, Trash::Create(dir + "/trash", std::chrono::seconds(2)));
  return cache;
}

absl::StatusOr<MirrorCache::Mirror> MirrorCache::Locate(const Source& source) const {
  Mirror mirror;
  SLIPWAY_ASSIGN_OR_RETURN(mirror.url, ParseRepositoryUrl(source.url, options_.allowed_schemes));
  const std::string name =
      HashName(source.scope.empty() ? mirror.url.clean : mirror.url.clean + "\n" + source.scope);
  mirror.credential = &source.credential;
  mirror.dir = PathOfName(name);
  mirror.lock_path = fmt::format("{}/mirrors/{}.lock", options_.work_dir, name);
  return mirror;
}

absl::StatusOr<std::string> MirrorCache::PathOf(const Source& source) const {
  SLIPWAY_ASSIGN_OR_RETURN(Mirror mirror, Locate(source));
  return mirror.dir;
}

std::string MirrorCache::PathOfName(std::string_view name) const {
  return fmt::format("{}/mirrors/{}.git", options_.work_dir, name);
}

absl::StatusOr<CommitReader> MirrorCache::Reader(const Source& source) const {
  SLIPWAY_ASSIGN_OR_RETURN(const Mirror mirror, Locate(source));
  return CommitReader::Open(mirror.dir);
}

absl::Status MirrorCache::Make(const Mirror& mirror, MonoTime deadline,
                               const std::stop_token& stop) {
  const std::string fresh = mirror.dir + ".new";
  SLIPWAY_RETURN_IF_ERROR(trash_->Put(fresh));
  GitCall init;
  init.program = options_.program;
  init.arguments = {"init", "--bare", "--quiet", "--template=", "--initial-branch=main", fresh};
  init.timeout = deadline - SystemClock().Mono();
  SLIPWAY_RETURN_IF_ERROR(
      RunGit(init, options_.work_dir + "/mirrors/gitconfig", "", options_.environment, stop));
  if (rename(fresh.c_str(), mirror.dir.c_str()) != 0) {
    return ErrnoError(errno, "cannot put the mirror in place");
  }
  return absl::OkStatus();
}

absl::Status MirrorCache::FetchOnce(const Mirror& mirror, std::string_view extra_refspec,
                                    MonoTime deadline, const std::stop_token& stop) {
  GitCall fetch;
  fetch.arguments = {"--git-dir=" + mirror.dir,
                     "fetch",
                     "--quiet",
                     "--force",
                     "--prune",
                     "--no-tags",
                     "--no-recurse-submodules",
                     "--no-write-fetch-head",
                     "--no-auto-maintenance",
                     "origin",
                     "+refs/heads/*:refs/heads/*",
                     "+refs/tags/*:refs/tags/*"};
  if (!extra_refspec.empty()) fetch.arguments.emplace_back(extra_refspec);
  fetch.remote = &mirror.url;
  std::optional<crypto::RepositoryCredential> credential;
  if (*mirror.credential) {
    SLIPWAY_ASSIGN_OR_RETURN(credential, (*mirror.credential)(stop));
    fetch.credential = &*credential;
    fetch.known_hosts_file = options_.work_dir + "/mirrors/known_hosts";
  }
  fetch.max_file_bytes = options_.max_file_bytes;
  fetch.program = options_.program;
  fetch.timeout = std::max<Duration>(deadline - SystemClock().Mono(), std::chrono::milliseconds(1));
  // Of a process that died meanwhile.
  DropRemains(mirror.dir);
  auto status = RunGit(fetch, options_.work_dir + "/mirrors/gitconfig",
                       Joined(options_.allowed_schemes), options_.environment, stop);
  if (!status.ok()) DropRemains(mirror.dir);
  if (GetErrorInfo(status).reason == "REPOSITORY_TIMEOUT") {
    status = WithToolWords(
        MakeError(
            status.code(), "REPOSITORY_TIMEOUT",
            fmt::format(
                "fetching {} took longer than {} s", mirror.url.clean,
                std::chrono::duration_cast<std::chrono::seconds>(options_.fetch_timeout).count()),
            GetErrorInfo(status).remedy),
        ToolWordsOf(status));
  }
  return status;
}

void MirrorCache::Tidy(const Mirror& mirror, const std::stop_token& stop) {
  if (CountPacks(mirror.dir) <= kMaxPacks) return;
  GitCall repack;
  // Joins small packs and leaves large ones alone, so that its time does not grow with the history.
  repack.arguments = {"--git-dir=" + mirror.dir, "repack", "--geometric=2", "-d", "--quiet"};
  repack.timeout = std::chrono::minutes(2);
  // When it fails, the mirror is as good as before.
  (void)RunGit(repack, options_.work_dir + "/mirrors/gitconfig", "", options_.environment, stop);
}

absl::Status MirrorCache::Fetch(const Mirror& mirror, std::string_view extra_refspec,
                                MonoTime deadline, const std::stop_token& stop) {
  if (!OpenRepository(mirror.dir).ok()) {
    SLIPWAY_RETURN_IF_ERROR(trash_->Put(mirror.dir));
    SLIPWAY_RETURN_IF_ERROR(Make(mirror, deadline, stop));
    return FetchOnce(mirror, extra_refspec, deadline, stop);
  }
  auto status = FetchOnce(mirror, extra_refspec, deadline, stop);
  const std::string words = status.ok() ? "" : ToolWordsOf(status);
  // What git says when the mirror itself, not the remote, is the trouble.
  constexpr std::string_view kDamage[] = {"corrupt",
                                          "bad object",
                                          "unable to read",
                                          "did not send all necessary objects",
                                          "is empty",
                                          "inflate",
                                          "missing necessary",
                                          "not a git repository",
                                          "does not point to a valid object",
                                          "unable to create",
                                          "index file",
                                          "packfile"};
  const bool damaged = std::any_of(std::begin(kDamage), std::end(kDamage), [&](auto part) {
    return words.find(part) != std::string::npos;
  });
  if (!damaged || stop.stop_requested()) return status;
  SLIPWAY_RETURN_IF_ERROR(trash_->Put(mirror.dir));
  SLIPWAY_RETURN_IF_ERROR(Make(mirror, deadline, stop));
  return FetchOnce(mirror, extra_refspec, deadline, stop);
}

absl::StatusOr<ResolvedRef> MirrorCache::Resolve(const Source& source, std::string_view ref,
                                                 const std::stop_token& stop) {
  SLIPWAY_ASSIGN_OR_RETURN(const Mirror mirror, Locate(source));
  NoteUse(mirror.lock_path);
  if (ref == "HEAD") ref = "";
  if (!ref.empty() && !IsRefText(ref)) {
    return MakeError(StatusCode::kNotFound, "REF_UNKNOWN",
                     fmt::format("'{}' cannot be a branch, tag or commit", ref.substr(0, 64)),
                     "Check the name, and that it was pushed.");
  }
  if (IsFullCommitId(ref) && HasCommit(mirror.dir, ref)) {
    return ResolvedRef{std::string(ref), RefKind::kCommit, ""};
  }
  const MonoTime deadline = SystemClock().Mono() + options_.fetch_timeout;
  SLIPWAY_ASSIGN_OR_RETURN(const MirrorLock lock,
                           MirrorLock::Take(mirror.lock_path, deadline, stop, options_.program));
  const std::string extra = ref.empty() ? fmt::format("+HEAD:{}", kDefaultBranchRef) : "";
  SLIPWAY_RETURN_IF_ERROR(Fetch(mirror, extra, deadline, stop));
  Tidy(mirror, stop);
  auto resolved = ResolveIn(mirror.dir, ref);
  if (!resolved.ok() && resolved.status().code() == StatusCode::kDataLoss) {
    SLIPWAY_RETURN_IF_ERROR(trash_->Put(mirror.dir));
    SLIPWAY_RETURN_IF_ERROR(Fetch(mirror, extra, deadline, stop));
    resolved = ResolveIn(mirror.dir, ref);
  }
  if (!resolved.ok() && IsFullCommitId(ref)) {
    // A commit that no branch holds; many servers give it when asked by its id.
    const auto status = FetchOnce(mirror, fmt::format("{0}:refs/slipway/{0}", ref), deadline, stop);
    if (status.ok()) return ResolveIn(mirror.dir, ref);
    if (status.code() == StatusCode::kCancelled) return status;
  }
  return resolved;
}

absl::Status MirrorCache::Refresh(const Source& source, const std::stop_token& stop) {
  SLIPWAY_ASSIGN_OR_RETURN(const Mirror mirror, Locate(source));
  NoteUse(mirror.lock_path);
  const MonoTime deadline = SystemClock().Mono() + options_.fetch_timeout;
  SLIPWAY_ASSIGN_OR_RETURN(const MirrorLock lock,
                           MirrorLock::Take(mirror.lock_path, deadline, stop, options_.program));
  auto status = Fetch(mirror, fmt::format("+HEAD:{}", kDefaultBranchRef), deadline, stop);
  // Without commits, or with a HEAD that names a branch which is not there.
  if (GetErrorInfo(status).reason == "REF_UNKNOWN") status = Fetch(mirror, "", deadline, stop);
  SLIPWAY_RETURN_IF_ERROR(status);
  Tidy(mirror, stop);
  return absl::OkStatus();
}

absl::Status MirrorCache::Ensure(const Source& source, std::string_view commit,
                                 const std::stop_token& stop) {
  if (!IsFullCommitId(commit)) {
    return MakeError(StatusCode::kNotFound, "REF_UNKNOWN",
                     fmt::format("'{}' is not a full commit id", commit.substr(0, 64)));
  }
  return Resolve(source, commit, stop).status();
}

absl::Status MirrorCache::Remake(const Source& source, const std::stop_token& stop) {
  SLIPWAY_ASSIGN_OR_RETURN(const Mirror mirror, Locate(source));
  const MonoTime deadline = SystemClock().Mono() + options_.fetch_timeout;
  SLIPWAY_ASSIGN_OR_RETURN(const MirrorLock lock,
                           MirrorLock::Take(mirror.lock_path, deadline, stop, options_.program));
  SLIPWAY_RETURN_IF_ERROR(trash_->Put(mirror.dir));
  return Fetch(mirror, "", deadline, stop);
}

std::vector<IdleMirror> MirrorCache::ListIdle(WallTime since) const {
  std::vector<IdleMirror> idle;
  std::error_code error;
  for (std::filesystem::directory_iterator it(options_.work_dir + "/mirrors", error), end;
       !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".git") continue;
    const std::string name = it->path().stem().string();
    const auto used = LastUsed(fmt::format("{}/mirrors/{}.lock", options_.work_dir, name));
    if (used && *used <= since) {
      idle.push_back({.name = name, .path = it->path().string(), .last_used = *used});
    }
  }
  return idle;
}

absl::Status MirrorCache::DropIdle(const std::string& name, WallTime since) {
  const std::string lock_path = fmt::format("{}/mirrors/{}.lock", options_.work_dir, name);
  // Its deadline is past: only a lock that is free is taken.
  const auto lock = MirrorLock::Take(lock_path, MonoTime(), {}, options_.program);
  const std::optional<WallTime> used = LastUsed(lock_path);
  if (!lock.ok() || !used || *used > since) return absl::AbortedError("the mirror is used again");
  return trash_->Put(PathOfName(name));
}

}  // namespace slipway::git
