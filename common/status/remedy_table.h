#pragma once

#include <span>
#include <string_view>

#include "common/status/remedies.h"

namespace slipway {

// What to do about a reason, where the place that failed knows nothing better. Private to this
// library.
struct ReasonRemedy {
  std::string_view reason;
  Remedy remedy;
};

// Sorted by reason. A reason that leaves nothing to do is not in it.
std::span<const ReasonRemedy> RemedyTable();

}  // namespace slipway
