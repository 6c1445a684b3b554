// A LogCursor is confined to one strand; two threads are one too many.
#include <cstdint>
#include <thread>

#include "controller/logs/log_cursor.h"

int main() {
  slipway::logs::LogCursor cursor({slipway::TaskId("task"), slipway::Attempt(1)}, 0);
  const auto append = [&cursor] {
    for (std::uint64_t i = 0; i < 10'000; ++i) (void)cursor.OnChunk(cursor.received(), 1);
  };
  std::thread other(append);
  append();
  other.join();
  return 0;
}
