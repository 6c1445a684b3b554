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

// Sorted by reason, in two by its first letter. A reason that leaves nothing to do is in neither.
std::span<const ReasonRemedy> RemediesAToM();
std::span<const ReasonRemedy> RemediesNToZ();

}  // namespace slipway
