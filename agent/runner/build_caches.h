#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/caches/cache_store.h"
#include "agent/runner/attempt_context.h"
#include "common/git/commit_reader.h"
#include "common/project/caches.h"
#include "common/protocol/failure.h"

namespace slipway::runner {

// The caches of one build: where they are in its container, what it gets of an earlier build, and
// what it leaves to the next one. Tools' own lie in AttemptPaths::caches, folders in the work tree.
// Confined to the attempt's thread; `context` outlives this.
class BuildCaches {
 public:
  explicit BuildCaches(AttemptContext& context)
      : context_(context), resumes_(!context.progress.container.empty()) {}

  // What slipway.yaml of the commit declares. The failure when a file is missing that a folder is
  // made from.
  [[nodiscard]] std::optional<protocol::Failure> Declare(
      const std::vector<project::CacheConfig>& declared, const git::CommitReader& reader,
      const std::string& commit);

  // Makes the places, and moves what is kept there. REQUIRES: the work tree is the commit's, and no
  // container has it. `max_bytes`: a tool's cache of more is thrown away.
  [[nodiscard]] std::optional<protocol::Failure> Lend(std::int64_t max_bytes);

  // Names of the tools' caches that the container has.
  [[nodiscard]] std::vector<std::string> Tools() const;

  // Whether one of the folders lies in `output`.
  [[nodiscard]] bool HasFolderIn(const std::string& output) const;

  // How far the build came.
  enum class End {
    // Nothing of it ran: what was lent is as it was.
    kNotBegun,
    // Its script ended by itself, and the build has failed.
    kFailed,
    kSucceeded,
  };
  // Takes back what the next build may have. REQUIRES: no process of the build is left.
  void TakeBack(End end);

 private:
  struct Planned {
    project::CacheConfig config;
    // Of its key files' names and contents; empty: a tool's own.
    std::string files{};
    bool hit = false;
    std::int64_t bytes = 0;  // lent; 0 of one that is not measured yet
  };

  [[nodiscard]] caches::CacheId IdOf(const Planned& planned) const;
  // Whether kept ones may be looked for, and whether what is left is kept.
  [[nodiscard]] bool MayLend() const;
  [[nodiscard]] bool MayKeep() const;
  [[nodiscard]] std::optional<protocol::Failure> LendTool(Planned& planned, int directory,
                                                          std::int64_t max_bytes);
  [[nodiscard]] std::optional<protocol::Failure> LendFolder(Planned& planned,
                                                            std::int64_t max_bytes);
  // `max_bytes`: of what is lent.
  void Move(Planned& planned, int directory, const std::string& name, std::int64_t max_bytes);
  [[nodiscard]] absl::Status Keep(const Planned& planned);

  AttemptContext& context_;
  // An earlier life of the agent may have taken some back.
  const bool resumes_;
  std::vector<Planned> planned_;
};

}  // namespace slipway::runner
