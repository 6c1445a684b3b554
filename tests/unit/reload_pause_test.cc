#include "controller/scheduler/reload_pause.h"

#include <catch2/catch.hpp>
#include <chrono>

namespace slipway::scheduler {
namespace {

TEST_CASE("ReloadPause: none at first, then doubling with spread up to the longest", "[unit]") {
  using std::chrono::milliseconds;
  ReloadPause pause({.first = milliseconds(100), .longest = milliseconds(300)}, 7);
  ReloadPause other({.first = milliseconds(100), .longest = milliseconds(300)}, 8);
  for (const int round : {1, 2}) {
    INFO("round " << round);
    CHECK(pause.Next() == Duration::zero());
    bool differ = other.Next() != Duration::zero();
    CHECK_FALSE(differ);
    for (const int limit : {100, 200, 300, 300, 300}) {
      const Duration next = pause.Next();
      CHECK(next >= milliseconds(limit) / 2);
      CHECK(next <= milliseconds(limit));
      differ |= other.Next() != next;
    }
    CHECK(differ);
    pause.Reset();
    other.Reset();
  }
}

}  // namespace
}  // namespace slipway::scheduler
