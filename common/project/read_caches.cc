#include "common/project/read_caches.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "common/project/parameters.h"
#include "common/project/paths.h"

namespace slipway::project {
namespace {

using config::Section;

constexpr char kGit[] = ".git";

void ReadFolder(Section& section, CacheConfig& cache) {
  if (!section.Has("path")) {
    section.Fail("path", "required: the folder of the work tree that is kept");
  }
  if (const auto text = section.FindString("path")) {
    const auto path = NormalisePath(*text);
    if (path && *path != "." && !LiesIn(*path, kGit)) {
      cache.path = *path;
    } else {
      section.Fail("path", fmt::format("'{}' is not allowed; use a folder inside the work tree, "
                                       "relative and without '..', and not .git",
                                       text->substr(0, 128)));
    }
  }
  const std::vector<std::string> files = section.GetStrings("key");
  if (files.empty()) {
    section.Fail("key",
                 "required: the files of the repository that the folder is made from, such "
                 "as package-lock.json");
  }
  if (files.size() > kMaxKeyFiles) {
    section.Fail("key", fmt::format("more than {} files", kMaxKeyFiles));
    return;
  }
  for (const std::string& file : files) {
    const auto path = NormalisePath(file);
    if (!path || *path == ".") {
      section.Fail("key", fmt::format("'{}' is not allowed; use files of the repository, relative "
                                      "and without '..'",
                                      file.substr(0, 128)));
    } else if (std::find(cache.key.begin(), cache.key.end(), *path) != cache.key.end()) {
      section.Fail("key", fmt::format("'{}' is there twice", *path));
    } else {
      cache.key.push_back(*path);
    }
  }
  std::sort(cache.key.begin(), cache.key.end());
}

void ReadCache(Section& all, const std::string& name, CachesByName& caches) {
  const bool tool = !ToolCacheVariable(name).empty();
  if (!IsParameterName(name)) all.Fail(name, "not a name of a cache; use [a-z][a-z0-9-]{0,31}");
  if (!all.Has(name)) {
    all.Fail(name, tool ? "use true or false" : "expected a map with 'path' and 'key'");
    return;
  }
  if (all.IsMap(name)) {
    if (tool) {
      all.Fail(name, "the name of a tool's own cache: write true, or give the folder another name");
    }
    CacheConfig cache{.name = name};
    if (auto section = all.FindSection(name)) ReadFolder(*section, cache);
    caches.insert_or_assign(name, std::move(cache));
    return;
  }
  if (!all.GetBool(name, true)) {
    caches.erase(name);
    return;
  }
  if (!tool) {
    all.Fail(name, fmt::format("not a known cache: true is for {}; a folder of the work tree is a "
                               "map with 'path' and 'key'",
                               ToolCacheNames()));
    return;
  }
  caches.insert_or_assign(name, CacheConfig{.name = name});
}

}  // namespace

void ReadCaches(Section& section, CachesByName& caches) {
  auto all = section.FindSection("caches");
  if (!all) return;
  const std::vector<std::string> names = all->Keys();
  if (names.size() > kMaxCaches) {
    section.Fail("caches", fmt::format("more than {}", kMaxCaches));
    all->IgnoreRest();
    return;
  }
  for (const std::string& name : names) ReadCache(*all, name, caches);
  if (caches.size() > kMaxCaches) section.Fail("caches", fmt::format("more than {}", kMaxCaches));
  for (auto it = caches.begin(); it != caches.end(); ++it) {
    for (auto other = std::next(it); other != caches.end(); ++other) {
      const std::string& one = it->second.path;
      const std::string& two = other->second.path;
      if (one.empty() || two.empty() || !Overlap(one, two)) continue;
      section.Fail("caches", fmt::format("{} and {} keep folders that are the same, or one inside "
                                         "the other",
                                         it->first, other->first));
    }
  }
}

void CheckCachesAgainstOutput(Section& platform, const CachesByName& caches,
                              const std::string& output) {
  for (const auto& [name, cache] : caches) {
    if (cache.path.empty() || output.empty() || !LiesIn(output, cache.path)) continue;
    platform.Fail("output", fmt::format("lies in the folder that the cache {} keeps ({}); the "
                                        "product would hold what an earlier build left",
                                        name, cache.path));
  }
}

}  // namespace slipway::project
