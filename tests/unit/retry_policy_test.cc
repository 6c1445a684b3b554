#include "controller/scheduler/retry_policy.h"

#include <catch2/catch.hpp>
#include <map>

namespace slipway::scheduler {
namespace {

using domain::TaskKind;
using protocol::FailureClass;
using std::chrono::seconds;

const std::map<FailureClass, Retry> kExpected = {
    {FailureClass::kBuild, Retry::kNever},
    {FailureClass::kTimeout, Retry::kNever},
    {FailureClass::kCanceled, Retry::kNever},
    {FailureClass::kAgentLost, Retry::kAtOnce},
    {FailureClass::kInfrastructure, Retry::kAfterPause},
    {FailureClass::kPolicy, Retry::kNever},
    {FailureClass::kCredential, Retry::kNever},
    {FailureClass::kPlatformRefused, Retry::kNever},
    {FailureClass::kNetwork, Retry::kAfterPause},
    {FailureClass::kPublishUnknown, Retry::kNever}};

TEST_CASE("Retry policy: every failure class has its rule", "[unit][scheduler]") {
  REQUIRE(kExpected.size() == static_cast<std::size_t>(FailureClass::kPublishUnknown));
  for (const auto& [klass, retry] : kExpected) {
    INFO(protocol::FailureClassName(klass));
    CHECK(RetryOf(klass) == retry);
  }
}

TEST_CASE("Retry policy: a publish is never tried again, whatever failed", "[unit][scheduler]") {
  for (const auto& [klass, retry] : kExpected) {
    CHECK_FALSE(PauseBeforeRetry(TaskKind::kPublish, klass, 1, {}));
  }
}

TEST_CASE("Retry policy: a preview is tried again as a build is", "[unit][scheduler]") {
  const RetryLimits limits{
      .max_starts = 3, .first_pause = seconds(5), .longest_pause = seconds(30)};
  for (const auto& [klass, retry] : kExpected) {
    INFO(protocol::FailureClassName(klass));
    const auto pause = PauseBeforeRetry(TaskKind::kPreview, klass, 1, limits);
    CHECK(pause.has_value() == (retry != Retry::kNever));
    CHECK(pause == PauseBeforeRetry(TaskKind::kBuild, klass, 1, limits));
    CHECK_FALSE(PauseBeforeRetry(TaskKind::kPreview, klass, limits.max_starts, limits));
  }
}

TEST_CASE("Retry policy: pauses double up to the longest, and starts are capped",
          "[unit][scheduler]") {
  const RetryLimits limits{
      .max_starts = 6, .first_pause = seconds(5), .longest_pause = seconds(30)};
  const auto pause = [&](FailureClass klass, int starts) {
    return PauseBeforeRetry(TaskKind::kBuild, klass, starts, limits);
  };
  CHECK(pause(FailureClass::kNetwork, 1) == seconds(5));
  CHECK(pause(FailureClass::kNetwork, 2) == seconds(10));
  CHECK(pause(FailureClass::kInfrastructure, 3) == seconds(20));
  CHECK(pause(FailureClass::kNetwork, 4) == seconds(30));
  CHECK(pause(FailureClass::kNetwork, 5) == seconds(30));
  CHECK_FALSE(pause(FailureClass::kNetwork, 6));
  CHECK(pause(FailureClass::kAgentLost, 5) == Duration::zero());
  CHECK_FALSE(pause(FailureClass::kAgentLost, 6));
  CHECK_FALSE(pause(FailureClass::kBuild, 1));
  CHECK(PauseBeforeRetry(TaskKind::kProbe, FailureClass::kNetwork, 1, limits) == seconds(5));
}

}  // namespace
}  // namespace slipway::scheduler
