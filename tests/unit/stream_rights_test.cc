#include "controller/api/stream_rights.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <memory>

#include "tests/support/status_matchers.h"
#include "tests/support/wait_until.h"

namespace slipway::api {
namespace {

using testing::StatusIs;
using testing::WaitUntil;

const absl::Status kTaken = absl::PermissionDeniedError("taken");

TEST_CASE("StreamRights: what may not be is not watched", "[unit]") {
  const SystemClock clock;
  StreamRights rights(clock);
  const auto watch = rights.Watch([] { return kTaken; }, [](const absl::Status&) {});
  CHECK_THAT(watch.status(), StatusIs(absl::StatusCode::kPermissionDenied));
  const StreamRight right(rights, [] { return kTaken; });
  CHECK_THAT(right.status(), StatusIs(absl::StatusCode::kPermissionDenied));
}

TEST_CASE("StreamRights: a change ends the streams whose right it took, and no others", "[unit]") {
  const SystemClock clock;
  StreamRights rights(clock);
  std::atomic<bool> taken = false;
  const auto check = [&]() -> absl::StatusOr<WallTime> {
    if (taken) return kTaken;
    return WallTime();
  };
  const StreamRight right(rights, check);
  std::atomic<int> asked = 0;
  const StreamRight other(rights, [&]() -> absl::StatusOr<WallTime> {
    ++asked;
    return WallTime();
  });
  std::atomic<bool> ended = false;
  auto left = rights.Watch(check, [&](const absl::Status&) { ended = true; });
  REQUIRE_OK(left);
  left->reset();
  CHECK_OK(right.status());
  taken = true;
  rights.Changed();
  REQUIRE(WaitUntil([&] { return asked == 2; }));
  REQUIRE(WaitUntil([&] { return !right.status().ok(); }));
  CHECK_OK(other.status());
  CHECK_FALSE(ended);
}

TEST_CASE("StreamRights: many changes during a pass make one more pass", "[unit]") {
  const SystemClock clock;
  StreamRights rights(clock);
  std::atomic<int> asked = 0;
  std::promise<void> go_on;
  const auto gate = go_on.get_future().share();
  const StreamRight right(rights, [&, gate]() -> absl::StatusOr<WallTime> {
    if (++asked == 2) gate.wait();
    return WallTime();
  });
  rights.Changed();
  REQUIRE(WaitUntil([&] { return asked == 2; }));
  for (int i = 0; i < 1000; ++i) rights.Changed();
  go_on.set_value();
  REQUIRE(WaitUntil([&] { return asked == 3; }));
  // What was posted before this would be done before it.
  rights.Changed();
  REQUIRE(WaitUntil([&] { return asked >= 4; }));
  CHECK(asked == 4);
}

TEST_CASE("StreamRights: a right that runs out ends the stream, unless it was made to last",
          "[unit]") {
  const SystemClock clock;
  StreamRights rights(clock);
  const WallTime soon = clock.Wall() + std::chrono::milliseconds(20);
  const StreamRight spent(rights, [&]() -> absl::StatusOr<WallTime> {
    if (clock.Wall() >= soon) return absl::UnauthenticatedError("expired");
    return soon;
  });
  std::atomic<int> asked = 0;
  const StreamRight refreshed(rights, [&]() -> absl::StatusOr<WallTime> {
    if (++asked == 1) return soon;
    return soon + std::chrono::hours(1);
  });
  CHECK(WaitUntil([&] { return spent.status().code() == absl::StatusCode::kUnauthenticated; }));
  CHECK(WaitUntil([&] { return asked == 2; }));
  CHECK_OK(refreshed.status());
}

TEST_CASE("StreamRights: watches may outlive it", "[unit]") {
  const SystemClock clock;
  auto rights = std::make_unique<StreamRights>(clock);
  const StreamRight right(*rights, [] { return WallTime(); });
  rights.reset();
  CHECK_OK(right.status());
}

}  // namespace
}  // namespace slipway::api
