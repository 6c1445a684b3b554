#include "agent/link/reconnect_pause.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>

namespace slipway::link {
namespace {

using namespace std::chrono_literals;

// The longest of many pauses, each after `before` and one stream more.
template <typename Before>
Duration LongestPause(Before before) {
  Duration longest{};
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    ReconnectPause pause(200ms, 5s, seed);
    longest = std::max(longest, before(pause));
  }
  return longest;
}

TEST_CASE("pauses grow while the controller says nothing, up to the longest") {
  const Duration first = LongestPause([](ReconnectPause& pause) { return pause.Next(0s, false); });
  CHECK(first <= 200ms);
  CHECK(first > 150ms);
  const Duration tenth = LongestPause([](ReconnectPause& pause) {
    for (int i = 0; i < 9; ++i) (void)pause.Next(0s, false);
    return pause.Next(0s, false);
  });
  CHECK(tenth <= 5s);
  CHECK(tenth > 4s);
}

TEST_CASE("after a stream on which the controller spoke the pause is short again") {
  CHECK(LongestPause([](ReconnectPause& pause) {
          for (int i = 0; i < 9; ++i) (void)pause.Next(0s, false);
          return pause.Next(1ms, false);
        }) <= 200ms);
}

TEST_CASE("a controller that dies in the middle of logs, again and again, is rejoined soon") {
  CHECK(LongestPause([](ReconnectPause& pause) {
          for (int i = 0; i < 9; ++i) (void)pause.Next(3s, true);
          return pause.Next(3s, true);
        }) <= 200ms);
}

TEST_CASE("a controller that speaks but cannot take a log is not asked without a pause") {
  CHECK(LongestPause([](ReconnectPause& pause) {
          for (int i = 0; i < 9; ++i) (void)pause.Next(5ms, true);
          return pause.Next(5ms, true);
        }) > 4s);
}

}  // namespace
}  // namespace slipway::link
