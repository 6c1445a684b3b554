#pragma once

#include <map>
#include <string>

#include "common/base/ids.h"
#include "common/base/time.h"

namespace slipway::domain {

// An agent that has joined. Being online is the registry's knowledge, not a column.
struct Agent {
  AgentId id;
  // Shown to people; unique. Chosen at join, by default the host name.
  std::string name;
  std::map<std::string, std::string> labels;
  // SHA-256 of the DER of the certificate it may connect with.
  std::string certificate_fingerprint;
  WallTime certificate_not_after;
  WallTime joined_at;
  WallTime last_seen;  // epoch 0: never connected
  bool revoked = false;
};

// A one-time right to join. Only the token's hash is stored.
struct JoinToken {
  std::string token_hash;
  WallTime created_at;
  std::string created_by;
  WallTime expires_at;
};

// Who calls an RPC.
struct Account {
  std::string name;
  bool admin = false;
};

}  // namespace slipway::domain
