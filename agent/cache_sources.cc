#include "agent/cache_sources.h"

#include <sys/stat.h>

#include <filesystem>
#include <utility>

#include "common/git/trash.h"
#include "common/status/status.h"

namespace slipway::agent {
namespace {

using health::Cache;
using health::CacheKind;

// Label of the images that deploy/images/build makes; one without a name was replaced.
constexpr char kLabelImage[] = "io.slipway.image";
constexpr Duration kEngineTimeout = std::chrono::seconds(30);

WallTime Since(Duration idle) { return SystemClock().Wall() - idle; }

class Mirrors final : public health::CacheSource {
 public:
  explicit Mirrors(CacheParts parts) : parts_(std::move(parts)) {}
  std::vector<Cache> List() override {
    std::vector<Cache> caches;
    for (const git::IdleMirror& mirror : parts_.mirrors.ListIdle(Since(parts_.idle))) {
      caches.push_back({CacheKind::kMirror, mirror.name, mirror.path, mirror.last_used});
    }
    return caches;
  }
  absl::Status Delete(const Cache& cache) override {
    return parts_.mirrors.DropIdle(cache.name, Since(parts_.idle));
  }

 private:
  const CacheParts parts_;
};

class Trees final : public health::CacheSource {
 public:
  explicit Trees(CacheParts parts) : parts_(std::move(parts)) {}
  std::vector<Cache> List() override {
    std::vector<Cache> caches;
    for (const workspace::KeptTree& tree : parts_.trees.ListKept()) {
      caches.push_back({CacheKind::kWorkTree, tree.path, tree.path, tree.last_used});
    }
    return caches;
  }
  absl::Status Delete(const Cache& cache) override { return parts_.trees.DropKept(cache.name); }

 private:
  const CacheParts parts_;
};

class BuildCaches final : public health::CacheSource {
 public:
  explicit BuildCaches(CacheParts parts) : parts_(std::move(parts)) {}
  std::vector<Cache> List() override {
    std::vector<Cache> caches;
    for (const caches::KeptCache& cache : parts_.caches.ListKept()) {
      caches.push_back({CacheKind::kBuildCache, cache.path, cache.path, cache.last_used});
    }
    return caches;
  }
  absl::Status Delete(const Cache& cache) override { return parts_.caches.DropKept(cache.name); }

 private:
  const CacheParts parts_;
};

class LeftOvers final : public health::CacheSource {
 public:
  explicit LeftOvers(CacheParts parts) : parts_(std::move(parts)) {}
  std::vector<Cache> List() override {
    std::vector<Cache> found;
    const std::string& work_dir = parts_.mirrors.options().work_dir;
    for (const std::string& directory :
         {parts_.data_dir + "/attempts", work_dir + "/run", work_dir + "/lent"}) {
      std::error_code error;
      for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
           it.increment(error)) {
        const std::string path = it->path().string();
        struct stat info {};
        if (lstat(path.c_str(), &info) != 0) continue;
        found.push_back({CacheKind::kLeftOver, path, path,
                         WallTime(std::chrono::seconds(info.st_mtim.tv_sec))});
      }
    }
    // An attempt is held before its directory is made.
    const std::set<std::string> held = parts_.held();
    std::erase_if(found, [&](const Cache& cache) {
      return held.contains(std::filesystem::path(cache.path).filename().string());
    });
    return found;
  }
  absl::Status Delete(const Cache& cache) override {
    SLIPWAY_RETURN_IF_ERROR(parts_.trees.Discard(cache.path));
    if (parts_.mirrors.trash().Put(cache.path).ok()) return absl::OkStatus();
    // Another file system than that of the trash.
    std::error_code error;
    std::filesystem::remove_all(cache.path, error);
    return error ? ErrnoError(error.value(), cache.path) : absl::OkStatus();
  }

 private:
  const CacheParts parts_;
};

class Images final : public health::CacheSource {
 public:
  explicit Images(CacheParts parts) : parts_(std::move(parts)) {}
  std::vector<Cache> List() override {
    std::vector<Cache> caches;
    const std::string root = parts_.engine_root();
    if (root.empty()) return caches;
    const auto replaced = parts_.engine.ListReplacedImages(kLabelImage, kEngineTimeout);
    if (!replaced.ok()) return caches;
    for (const std::string& id : *replaced) {
      caches.push_back({CacheKind::kImage, id, root, WallTime()});
    }
    for (const images::PulledImage& image : parts_.images.Disposable(Since(parts_.idle))) {
      caches.push_back({CacheKind::kImage, image.name, root, image.last_used});
    }
    return caches;
  }
  absl::Status Delete(const Cache& cache) override {
    // Never the time of a use: one that was replaced.
    if (cache.last_used == WallTime()) return parts_.engine.RemoveImage(cache.name, kEngineTimeout);
    return parts_.images.Drop(cache.name, Since(parts_.idle));
  }

 private:
  const CacheParts parts_;
};

}  // namespace

std::vector<std::unique_ptr<health::CacheSource>> MakeCacheSources(CacheParts parts) {
  std::vector<std::unique_ptr<health::CacheSource>> sources;
  sources.push_back(std::make_unique<LeftOvers>(parts));
  sources.push_back(std::make_unique<Trees>(parts));
  sources.push_back(std::make_unique<BuildCaches>(parts));
  sources.push_back(std::make_unique<Mirrors>(parts));
  sources.push_back(std::make_unique<Images>(std::move(parts)));
  return sources;
}

}  // namespace slipway::agent
