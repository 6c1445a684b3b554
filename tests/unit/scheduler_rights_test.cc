#include <catch2/catch.hpp>
#include <future>

#include "tests/unit/scheduler_shell.h"

namespace slipway::scheduler {
namespace {

using testing::StatusIs;

TEST_CASE("Scheduler: a cancel whose right has ended is refused alone, and nothing is read anew",
          "[unit]") {
  Farm farm;
  REQUIRE_OK(Farm::Get(farm.Submit("kept")).status);
  farm.store.SetRight(
      MakeError(absl::StatusCode::kPermissionDenied, "NOT_GRANTED", "not any more"));
  const int loads = farm.store.loads();
  farm.store.HoldCommits(true);
  auto first = farm.Submit("first");
  REQUIRE(farm.store.WaitCommits(2));
  // In one batch with a submit.
  std::promise<Reply> canceled;
  farm.scheduler->Cancel(
      TaskId("task-kept"), "mei", "why", [&](const Reply& reply) { canceled.set_value(reply); },
      {"10.0.0.1", {{.need = domain::Authority::Need::kAccount, .account = AccountId("mei")}}});
  auto second = farm.Submit("second");
  farm.store.HoldCommits(false);
  CHECK_THAT(Farm::Get(canceled.get_future()).status,
             StatusIs(absl::StatusCode::kPermissionDenied, "not any more"));
  CHECK_OK(Farm::Get(std::move(first)).status);
  CHECK_OK(Farm::Get(std::move(second)).status);
  CHECK(farm.store.loads() == loads);
  // Who rests on nothing is not asked.
  std::promise<Reply> by_farm;
  farm.scheduler->Cancel(TaskId("task-kept"), "farm", "why",
                         [&](const Reply& reply) { by_farm.set_value(reply); });
  CHECK_OK(Farm::Get(by_farm.get_future()).status);
}

}  // namespace
}  // namespace slipway::scheduler
