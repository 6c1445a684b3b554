// More seconds than 64 bits of nanoseconds hold.
#include <cstdint>
#include <limits>

#include "common/base/time.h"
#include "common/rpc/convert.h"

int main() {
  const slipway::WallTime far = slipway::FromUnixMicros(std::numeric_limits<std::int64_t>::max());
  return slipway::rpc::ToProto(far).seconds() == 0 ? 1 : 0;
}
