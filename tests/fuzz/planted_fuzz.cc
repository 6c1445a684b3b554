// A property with a hole that no seed shows: proof that a search finds such things and that a
// finding fails the run. Not one of the targets.
#include <string_view>

#include "common/base/check.h"
#include "tests/fuzz/fuzz_target.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  SLIPWAY_CHECK(!text.starts_with("hole"));
  return 0;
}
