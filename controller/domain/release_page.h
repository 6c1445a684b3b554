#pragma once

#include <cstdint>
#include <string>

#include "common/base/digest.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace slipway::domain {

// A page at which whoever knows its address can have a product as a package.
struct ReleasePage {
  // The publish to a channel that made it; one page each.
  TaskId task;
  // SHA-256 of the secret part of the address.
  Sha256Digest token_hash;
  // Name in the folder of packages.
  std::string file;
  // What the one who downloads it gets to see.
  std::string file_name;
  Sha256Digest sha256;
  std::uint64_t bytes = 0;
  // "en" or "zh-CN".
  std::string language;
  // crypto::HashPassword of what visitors have to say first; empty: nothing.
  std::string password_hash{};
  WallTime made_at;
  WallTime expires_at;

  friend bool operator==(const ReleasePage&, const ReleasePage&) = default;
};

}  // namespace slipway::domain
