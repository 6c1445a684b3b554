#include "controller/hot/hot_cache.h"

#include <algorithm>
#include <utility>

#include "common/log/log.h"
#include "common/loghash/segment_hasher.h"
#include "controller/domain/channel.h"

namespace slipway::hot {
namespace {

using domain::Task;
using domain::TaskKind;
using domain::TaskState;

// A branch or a tag leads to whatever it leads to when an agent looks.
bool IsCommitId(const std::string& ref) {
  return ref.size() == 40 && ref.find_first_not_of("0123456789abcdef") == std::string::npos;
}

metrics::Counter& LookupsThat(metrics::Registry& registry, const char* found) {
  return registry.AddCounter(
      "slipway_hot_cache_lookups_total",
      "Builds of whole commit ids that were looked for in the hot cache: hit (the product was at "
      "hand), other (the version is, but in another form), cold (it was not packaged often "
      "enough).",
      {{"found", found}});
}

// The end of a build whose product is that of `earlier`.
void EndAs(const Task& earlier, WallTime now, Task& build) {
  protocol::AttemptResult result;
  result.exit_code = 0;
  result.started_at = now;
  result.finished_at = now;
  result.log.root = loghash::SegmentHasher().Finish();
  result.build = earlier.result->build;
  if (result.build->same_as.empty()) result.build->same_as = earlier.id.value();
  build.state = TaskState::kSucceeded;
  build.started_at = now;
  build.finished_at = now;
  build.result = std::move(result);
}

}  // namespace

HotCache::HotCache(const Options& options, store::PackagingStore& packagings,
                   artifacts::ArtifactArchive& archive, metrics::Registry& registry)
    : options_(options),
      packagings_(packagings),
      archive_(archive),
      hits_(LookupsThat(registry, "hit")),
      others_(LookupsThat(registry, "other")),
      cold_(LookupsThat(registry, "cold")) {}

void HotCache::Use(const domain::Run& run, std::vector<Task>& tasks, WallTime now) {
  if (!options_.on || !IsCommitId(run.ref)) return;
  for (Task& build : tasks) {
    if (build.kind != TaskKind::kBuild) continue;
    const auto follows = [&build](const Task& task) { return task.depends_on == build.id; };
    const bool to_platform = std::any_of(tasks.begin(), tasks.end(), [&](const Task& task) {
      return follows(task) && !domain::IsChannelPlatform(task.platform);
    });
    const auto earlier = Find(run, build, to_platform, now);
    if (!earlier) continue;
    EndAs(*earlier, now, build);
    for (Task& task : tasks) {
      if (!follows(task)) continue;
      task.state = TaskState::kQueued;
      task.queued_since = now;
    }
  }
}

std::optional<Task> HotCache::Find(const domain::Run& run, const Task& build, bool with_credential,
                                   WallTime now) {
  auto found = packagings_.Find({.application = run.application,
                                 .commit = run.ref,
                                 .platform = build.platform,
                                 .version = run.version,
                                 .description = run.description,
                                 .parameters = run.parameters,
                                 .requirements = build.requirements,
                                 .with_credential = with_credential},
                                now - options_.window, options_.more_than);
  if (!found.ok()) {
    log::Warn("hot_cache_unread", {{"why", std::string(found.status().message())}});
    return std::nullopt;
  }
  if (found->times <= options_.more_than) {
    cold_.Increment();
    return std::nullopt;
  }
  const bool there = found->build && found->build->result && found->build->result->build &&
                     archive_.Find(run.application, found->build->result->build->manifest).ok();
  (there ? hits_ : others_).Increment();
  return there ? std::move(found->build) : std::nullopt;
}

void HotCache::Forget(WallTime now) {
  const absl::Status forgotten = packagings_.Forget(now - options_.window);
  if (!forgotten.ok()) {
    log::Warn("hot_cache_kept", {{"why", std::string(forgotten.message())}});
  }
}

}  // namespace slipway::hot
