#pragma once

#include <string>
#include <vector>

#include "common/base/time.h"
#include "controller/domain/authority.h"

namespace slipway::store {

// Who caused a change, for the audit trail: an account ("admin"), an agent ("agent:<id>") or
// "scheduler".
struct Cause {
  std::string actor;
  WallTime at;
  // Address of who called; empty: nobody did, or it is not known.
  std::string from = {};
  // All that it rests on; the store asks again in the transaction that makes the change, and
  // refuses it (kPermissionDenied, kNotFound) when one does not hold there any more.
  std::vector<domain::Authority> authorities = {};
  // Of a creation: what its caller calls it, so that the same call made again makes nothing new;
  // kept for 30 days. Empty: nothing.
  std::string request_id = {};
};

}  // namespace slipway::store
