#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "controller/artifacts/artifact_archive.h"
#include "controller/domain/task.h"
#include "controller/metrics/registry.h"
#include "controller/store/packaging_store.h"

namespace slipway::hot {

struct Options {
  bool on = true;
  // A version's products are at hand while it was packaged more often than `more_than` within the
  // last `window`.
  Duration window = std::chrono::hours(24);
  int more_than = 3;
};

// Products of versions that are packaged again and again come back at once instead of being built
// once more: the archive has the bytes, the count is the database's, and nothing is decided before
// it is needed, so that there is nothing to purge but the count's own rows.
//
// Thread-safe.
class HotCache {
 public:
  // All must outlive it.
  HotCache(const Options& options, store::PackagingStore& packagings,
           artifacts::ArtifactArchive& archive, metrics::Registry& registry);

  // Turns the builds among the tasks of a run that is not submitted yet into ones that have
  // succeeded at `now`, where their products are at hand; what waits for them waits no more. Only
  // of whole commit ids. Reads the database; one that cannot be read has no products.
  void Use(const domain::Run& run, std::vector<domain::Task>& tasks, WallTime now);

  // Forgets what lies before every window.
  void Forget(WallTime now);

 private:
  std::optional<domain::Task> Find(const domain::Run& run, const domain::Task& build,
                                   bool with_credential, WallTime now);

  const Options options_;
  store::PackagingStore& packagings_;
  artifacts::ArtifactArchive& archive_;
  metrics::Counter& hits_;
  metrics::Counter& others_;
  metrics::Counter& cold_;
};

}  // namespace slipway::hot
