#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/time.h"
#include "common/git/commit_reader.h"
#include "common/git/repository_url.h"
#include "common/git/source.h"

namespace slipway::git {

class Trash;

struct MirrorOptions {
  // Absolute; made when missing. Mirrors, work trees and trash live under it, on one file system.
  std::string work_dir;
  // The operator may add "http" (no encryption) and "file" (repositories of this machine).
  std::set<std::string> allowed_schemes = {"https", "ssh", "git"};
  // "agent" or "controller": whose options, key and network the words of errors are about.
  std::string program = "agent";
  // One fetch, from waiting for the mirror's lock to its end.
  Duration fetch_timeout = std::chrono::minutes(10);
  // Bytes that one file of a fetch may have, which bounds what a repository can fill a disk with;
  // 0: any. REPOSITORY_TOO_LARGE beyond it.
  std::int64_t max_file_bytes = 0;
  // Added to the environment of git: proxies, GIT_SSL_CAINFO, GIT_SSH_COMMAND.
  std::map<std::string, std::string> environment;
};

enum class RefKind { kBranch, kTag, kCommit };

struct ResolvedRef {
  // 40 hex digits.
  std::string commit;
  RefKind kind = RefKind::kCommit;
  // Short name of the branch or tag; of the default branch when no ref was asked for; empty for a
  // commit.
  std::string name;
};

// A mirror that nobody has asked for since some time.
struct IdleMirror {
  std::string name;  // of its directory
  std::string path;
  WallTime last_used;
};

// A bare mirror of every repository that a program has asked for, fetched with the git program;
// those that a credential opens have one per scope (source.h).
//
// Repositories are hostile: objects are checked while they arrive, and no hook, submodule or
// configuration of theirs is used. git never prompts. A mirror that is damaged or half made is
// moved away and fetched anew. Several processes may share a work_dir (flock per mirror).
//
// Errors carry the reasons REPOSITORY_…, REF_UNKNOWN, MIRROR_DAMAGED, DISK_FULL or GIT_CRASHED, and
// git's own words without credentials (ToolWordsOf).
// Thread-safe; every call blocks, up to fetch_timeout, and ends soon after `stop`.
class MirrorCache {
 public:
  // kInvalidArgument or an errno status when work_dir cannot be used.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<MirrorCache>> Create(MirrorOptions options);
  ~MirrorCache();
  MirrorCache(const MirrorCache&) = delete;
  MirrorCache& operator=(const MirrorCache&) = delete;

  // Brings the mirror up to date and says what `ref` is now: a branch, a tag, a full "refs/…" name,
  // a commit id (full, or at least 7 digits), or "" for the repository's default branch. A branch
  // goes before a tag of the same name. A full commit id that is here already needs no network.
  // kNotFound/REF_UNKNOWN names the nearest refs.
  [[nodiscard]] absl::StatusOr<ResolvedRef> Resolve(const Source& source, std::string_view ref,
                                                    const std::stop_token& stop = {});

  // Brings the mirror up to date: branches, tags and which commit is the default branch's. Ok for a
  // repository without any.
  [[nodiscard]] absl::Status Refresh(const Source& source, const std::stop_token& stop = {});

  // Fetches unless `commit` (40 hex digits) is here already.
  [[nodiscard]] absl::Status Ensure(const Source& source, std::string_view commit,
                                    const std::stop_token& stop = {});

  // Reads what is in the mirror now. kNotFound: nothing was fetched of this source
  // yet.
  [[nodiscard]] absl::StatusOr<CommitReader> Reader(const Source& source) const;

  // Fetches a mirror anew whose objects turned out to be unreadable (MIRROR_DAMAGED).
  [[nodiscard]] absl::Status Remake(const Source& source, const std::stop_token& stop = {});

  // Directory of the mirror of `source`; it may not exist.
  [[nodiscard]] absl::StatusOr<std::string> PathOf(const Source& source) const;
  // The same by IdleMirror::name.
  [[nodiscard]] std::string PathOfName(std::string_view name) const;

  // Mirrors last asked for at or before `since`.
  [[nodiscard]] std::vector<IdleMirror> ListIdle(WallTime since) const;
  // Deletes one of them. kAborted: it was asked for again, or is being fetched.
  [[nodiscard]] absl::Status DropIdle(const std::string& name, WallTime since);

  [[nodiscard]] const MirrorOptions& options() const { return options_; }
  // Where whole trees are put to be deleted later.
  [[nodiscard]] Trash& trash() { return *trash_; }

 private:
  struct Mirror;
  explicit MirrorCache(MirrorOptions options);

  [[nodiscard]] absl::StatusOr<Mirror> Locate(const Source& source) const;
  // REQUIRES: the mirror's lock.
  [[nodiscard]] absl::Status Fetch(const Mirror& mirror, std::string_view extra_refspec,
                                   MonoTime deadline, const std::stop_token& stop);
  [[nodiscard]] absl::Status FetchOnce(const Mirror& mirror, std::string_view extra_refspec,
                                       MonoTime deadline, const std::stop_token& stop);
  void Tidy(const Mirror& mirror, const std::stop_token& stop);
  [[nodiscard]] absl::Status Make(const Mirror& mirror, MonoTime deadline,
                                  const std::stop_token& stop);

  // Constant after construction.
  const MirrorOptions options_;
  // Own synchronisation.
  std::unique_ptr<Trash> trash_;
};

}  // namespace slipway::git
