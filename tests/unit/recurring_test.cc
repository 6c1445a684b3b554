#include "controller/work/recurring.h"

#include <atomic>
#include <catch2/catch.hpp>

#include "tests/support/wait_until.h"

namespace slipway::work {
namespace {

using namespace std::chrono_literals;
using testing::WaitUntil;

TEST_CASE("Recurring: work is done at once, goes on while there is more, and again after a while",
          "[unit]") {
  std::atomic<int> done = 0;
  {
    const Recurring more({.interval = 1h, .pause = 1ms}, [&] { return ++done < 3; });
    REQUIRE(WaitUntil([&] { return done == 3; }));
  }
  CHECK(done == 3);
  const Recurring often({.interval = 1ms, .pause = 1h}, [&] {
    ++done;
    return false;
  });
  CHECK(WaitUntil([&] { return done >= 6; }));
}

}  // namespace
}  // namespace slipway::work
