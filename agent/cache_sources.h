#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/caches/cache_store.h"
#include "agent/executor/container_engine.h"
#include "agent/health/cache_source.h"
#include "agent/images/image_keeper.h"
#include "agent/workspace/work_trees.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/git/mirror_cache.h"

// What an agent can delete when its disk gets full, as the HealthKeeper sees it.
namespace slipway::agent {

struct CacheParts {
  git::MirrorCache& mirrors;
  workspace::WorkTrees& trees;
  caches::CacheStore& caches;
  images::ImageKeeper& images;
  executor::ContainerEngine& engine;
  std::string data_dir;
  // On the file system that images lie on; empty: images are left alone, because that is not known
  // or the Engine does not answer.
  std::function<std::string()> engine_root;
  // Names of the directories that attempts still have; asked after the directories were listed.
  std::function<std::set<std::string>()> held;
  // What was used later than so long ago is left alone.
  Duration idle = std::chrono::minutes(10);
};

// Mirrors, kept work trees, what builds left to the next ones, directories of attempts that are
// over, and images that this agent pulled or that a newer one of Slipway's own has replaced.
[[nodiscard]] std::vector<std::unique_ptr<health::CacheSource>> MakeCacheSources(CacheParts parts);

}  // namespace slipway::agent
