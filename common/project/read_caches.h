#pragma once

#include <map>
#include <string>

#include "common/config/document.h"
#include "common/project/caches.h"

namespace slipway::project {

using CachesByName = std::map<std::string, CacheConfig>;

// Reads `caches` of a map of slipway.yaml over what is there already; notes what is wrong.
void ReadCaches(config::Section& section, CachesByName& caches);

// Notes at `platform` when a folder of the caches and `output` would get in each other's way: what
// an earlier build left must not become part of a product.
void CheckCachesAgainstOutput(config::Section& platform, const CachesByName& caches,
                              const std::string& output);

}  // namespace slipway::project
