#pragma once

#include <string>

#include "common/base/time.h"

namespace slipway::store {

// Who caused a change, for the audit trail: an account ("admin"), an agent ("agent:<id>") or
// "scheduler".
struct Cause {
  std::string actor;
  WallTime at;
  // Address of who called; empty: nobody did, or it is not known.
  std::string from = {};
};

}  // namespace slipway::store
