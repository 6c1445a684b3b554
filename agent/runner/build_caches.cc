#include "agent/runner/build_caches.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/runner/failures.h"
#include "agent/workspace/failure.h"
#include "common/config/units.h"
#include "common/crypto/hash.h"
#include "common/fs/files.h"
#include "common/log/log.h"
#include "common/status/status.h"

namespace slipway::runner {
namespace {

using Trouble = std::optional<protocol::Failure>;

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// The directory that `path` lies in, below the work tree. `make`: missing ones are made for the
// step; otherwise kNotFound. kInvalidArgument: something else than a directory is on the way.
absl::StatusOr<fs::UniqueFd> OpenParent(const std::string& tree, const std::string& path, bool make,
                                        const RunnerOptions& options) {
  SLIPWAY_ASSIGN_OR_RETURN(fs::UniqueFd at, fs::OpenDirectory(tree));
  std::string_view rest = FolderOf(path) == "." ? std::string_view() : std::string_view(path);
  for (;;) {
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos) return at;
    const std::string part(rest.substr(0, slash));
    rest.remove_prefix(slash + 1);
    if (make && mkdirat(at.get(), part.c_str(), 0755) == 0 && geteuid() == 0 &&
        fchownat(at.get(), part.c_str(), options.step_uid, options.step_gid, AT_SYMLINK_NOFOLLOW) !=
            0) {
      return ErrnoError(errno, part);
    }
    fs::UniqueFd next(
        openat(at.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid() && errno == ENOENT) return absl::NotFoundError("it is not there");
    if (!next.valid()) return absl::InvalidArgumentError(part + " is no directory");
    at = std::move(next);
  }
}

std::string Ago(Duration age) {
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(age).count();
  if (minutes < 1) return "a moment ago";
  if (minutes < 120) return fmt::format("{} min ago", minutes);
  return minutes < 48 * 60 ? fmt::format("{} h ago", minutes / 60)
                           : fmt::format("{} days ago", minutes / (24 * 60));
}

Trouble PathTaken(const project::CacheConfig& cache, const std::string& why) {
  return MakeFailure(reason::kCachePathTaken,
                     fmt::format("The cache {} of slipway.yaml keeps the folder {}, but {}.",
                                 cache.name, cache.path, why));
}

}  // namespace

Trouble BuildCaches::Declare(const std::vector<project::CacheConfig>& declared,
                             const git::CommitReader& reader, const std::string& commit) {
  for (const project::CacheConfig& config : declared) {
    Planned planned{.config = config};
    crypto::Sha256Hasher hasher;
    for (const std::string& file : config.key) {
      const absl::StatusOr<std::string> bytes =
          reader.ReadFile(commit, file, project::kMaxKeyFileBytes);
      if (!bytes.ok()) {
        protocol::Failure failure = workspace::ToFailure(bytes.status());
        failure.message = fmt::format("The cache {} of slipway.yaml is made from {}: {}",
                                      config.name, file, failure.message);
        return failure;
      }
      hasher.Update(fmt::format("{}\n{}\n", file, crypto::Sha256Of(*bytes).Hex()));
    }
    if (!config.path.empty()) planned.files = hasher.Finish().Hex();
    planned_.push_back(std::move(planned));
  }
  return std::nullopt;
}

caches::CacheId BuildCaches::IdOf(const Planned& planned) const {
  caches::CacheId id{.application = context_.task.application, .name = planned.config.name};
  if (planned.config.path.empty()) return id;
  // What is in such a folder was made by the image's programs, for its libraries.
  id.key = crypto::Sha256Of(fmt::format("1\n{}\n{}\n{}\n", context_.progress.image_id,
                                        planned.config.path, planned.files))
               .Hex();
  return id;
}

bool BuildCaches::MayKeep() const {
  const auto& work = std::get<BuildWork>(context_.task.work);
  // Who may bring a script may not commit: it must leave nothing to builds.
  return context_.parts.caches.enabled() && !work.script;
}

bool BuildCaches::MayLend() const {
  return MayKeep() && !std::get<BuildWork>(context_.task.work).no_caches;
}

Trouble BuildCaches::Lend(std::int64_t max_bytes) {
  const std::string& place = context_.paths.caches;
  if (mkdir(place.c_str(), 0755) != 0 && errno != EEXIST) {
    return FailureOf(ErrnoError(errno, place));
  }
  if (planned_.empty()) return std::nullopt;
  const absl::StatusOr<fs::UniqueFd> tools = fs::OpenDirectory(place);
  if (!tools.ok()) return FailureOf(tools.status());
  std::uint64_t hits = 0;
  for (Planned& planned : planned_) {
    Trouble trouble = planned.config.path.empty() ? LendTool(planned, tools->get(), max_bytes)
                                                  : LendFolder(planned, max_bytes);
    if (trouble) return trouble;
    max_bytes -= planned.bytes;
    hits += planned.hit ? 1 : 0;
  }
  log::Info("build_caches", {{"task", context_.key.task.value()},
                             {"application", context_.task.application},
                             {"hits", std::to_string(hits)},
                             {"misses", std::to_string(planned_.size() - hits)}});
  return std::nullopt;
}

Trouble BuildCaches::LendTool(Planned& planned, int directory, std::int64_t max_bytes) {
  const std::string& name = planned.config.name;
  Move(planned, directory, name, max_bytes);
  if (planned.hit) return std::nullopt;
  const absl::Status made = MakeStepDirectory(fmt::format("{}/{}", context_.paths.caches, name),
                                              context_.options.step_uid, context_.options.step_gid);
  return made.ok() ? Trouble() : FailureOf(made);
}

Trouble BuildCaches::LendFolder(Planned& planned, std::int64_t max_bytes) {
  const std::string& path = planned.config.path;
  const bool make = MayLend() && context_.parts.caches.Has(IdOf(planned));
  const absl::StatusOr<fs::UniqueFd> parent =
      OpenParent(context_.paths.tree, path, make, context_.options);
  if (absl::IsInvalidArgument(parent.status())) {
    return PathTaken(planned.config, std::string(parent.status().message()));
  }
  if (!parent.ok() && !absl::IsNotFound(parent.status())) return FailureOf(parent.status());
  struct stat info {};
  const std::string name = NameOf(path);
  if (parent.ok() && fstatat(parent->get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
    return PathTaken(planned.config, "the commit has something there");
  }
  Move(planned, parent.ok() ? parent->get() : -1, name, max_bytes);
  return std::nullopt;
}

void BuildCaches::Move(Planned& planned, int directory, const std::string& name,
                       std::int64_t max_bytes) {
  const std::string& cache = planned.config.name;
  if (!MayLend()) {
    // Whatever becomes of this build.
    if (MayKeep()) context_.parts.caches.Drop(IdOf(planned));
    const char* why = !context_.parts.caches.enabled() ? "this agent keeps none"
                      : MayKeep()                      ? "the build was asked to begin without"
                                                       : "a script that was brought gets none";
    return context_.Say(fmt::format("cache {}: empty ({})", cache, why));
  }
  absl::StatusOr<caches::Loan> loan = caches::Loan();
  if (directory >= 0) loan = context_.parts.caches.Lend(IdOf(planned), directory, name, max_bytes);
  if (!loan.ok()) {
    log::Warn("cache_not_lent",
              {{"task", context_.key.task.value()}, {"why", Describe(loan.status())}});
    loan = caches::Loan();
  }
  planned.hit = loan->hit;
  planned.bytes = loan->bytes.value_or(0);
  if (!loan->hit) {
    return context_.Say(fmt::format("cache {}: miss{}", cache,
                                    loan->too_large ? " (what was kept is too large)" : ""));
  }
  const std::string size = loan->bytes ? config::FormatSize(*loan->bytes) + ", " : "";
  context_.Say(fmt::format("cache {}: hit ({}kept {})", cache, size,
                           Ago(context_.clock.Wall() - loan->kept_at)));
}

std::vector<std::string> BuildCaches::Tools() const {
  std::vector<std::string> names;
  // A container of an agent that knew no caches has no place for them.
  if (access(context_.paths.caches.c_str(), F_OK) != 0) return names;
  for (const Planned& planned : planned_) {
    if (planned.config.path.empty()) names.push_back(planned.config.name);
  }
  return names;
}

bool BuildCaches::HasFolderIn(const std::string& output) const {
  return std::any_of(planned_.begin(), planned_.end(), [&](const Planned& planned) {
    return !planned.config.path.empty() && project::LiesIn(planned.config.path, output);
  });
}

absl::Status BuildCaches::Keep(const Planned& planned) {
  const auto others = std::get<BuildWork>(context_.task.work).no_caches
                          ? caches::CacheStore::Others::kGo
                          : caches::CacheStore::Others::kStay;
  const std::string& path = planned.config.path;
  SLIPWAY_ASSIGN_OR_RETURN(
      const fs::UniqueFd directory,
      path.empty() ? fs::OpenDirectory(context_.paths.caches)
                   : OpenParent(context_.paths.tree, path, /*make=*/false, context_.options));
  return context_.parts.caches.Keep(IdOf(planned), directory.get(),
                                    path.empty() ? planned.config.name : NameOf(path), others);
}

void BuildCaches::TakeBack(End end) {
  if (planned_.empty() || !MayKeep()) return;
  std::string kept;
  for (const Planned& planned : planned_) {
    // Tools write their caches file by file and believe none that is not whole; of a folder nobody
    // could tell how far a script that failed had come with it.
    const bool tool = planned.config.path.empty();
    if (end == End::kNotBegun ? !planned.hit : end == End::kFailed && !tool) continue;
    const absl::Status done = Keep(planned);
    if (done.ok()) {
      kept += (kept.empty() ? "" : ", ") + planned.config.name;
    } else if (end == End::kSucceeded && !(resumes_ && absl::IsNotFound(done))) {
      context_.Say(
          fmt::format("cache {}: not kept: {}", planned.config.name, std::string(done.message())));
    }
  }
  if (!kept.empty() && end != End::kNotBegun) {
    context_.Say(fmt::format("kept for the next build: {}", kept));
  }
}

}  // namespace slipway::runner
