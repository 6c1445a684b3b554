#pragma once

#include <string>

#include "common/base/time.h"

namespace slipway::domain {

enum class RepositoryAccess {
  kHttps = 1,  // user name and password or token
  kSsh = 2,    // private key
};

// What may be told of an application's repository credential.
struct RepositoryCredential {
  RepositoryAccess access = RepositoryAccess::kHttps;
  std::string username{};     // kHttps only
  std::string fingerprint{};  // kSsh only: of the public key, "SHA256:…"
  // Only servers with the given keys, or certificates of the given authorities, are talked to.
  bool pinned_hosts = false;
  // SHA-256 in hex of the sealed document, which tells one credential from the next.
  std::string digest{};
  WallTime set_at{};
  std::string set_by{};

  friend bool operator==(const RepositoryCredential&, const RepositoryCredential&) = default;
};

}  // namespace slipway::domain
