#include "controller/scheduler/retry_policy.h"

#include <algorithm>
#include <array>
#include <utility>

namespace slipway::scheduler {
namespace {

using protocol::FailureClass;

constexpr std::array<std::pair<FailureClass, Retry>, 10> kTable{{
    {FailureClass::kBuild, Retry::kNever},
    {FailureClass::kTimeout, Retry::kNever},
    {FailureClass::kCanceled, Retry::kNever},
    {FailureClass::kAgentLost, Retry::kAtOnce},
    {FailureClass::kInfrastructure, Retry::kAfterPause},
    {FailureClass::kPolicy, Retry::kNever},
    {FailureClass::kCredential, Retry::kNever},
    {FailureClass::kPlatformRefused, Retry::kNever},
    {FailureClass::kNetwork, Retry::kAfterPause},
    {FailureClass::kPublishUnknown, Retry::kNever},
}};

}  // namespace

Retry RetryOf(FailureClass klass) {
  for (const auto& [known, retry] : kTable) {
    if (known == klass) return retry;
  }
  return Retry::kNever;
}

std::optional<Duration> PauseBeforeRetry(domain::TaskKind kind, FailureClass klass, int starts,
                                         const RetryLimits& limits) {
  const Retry retry = RetryOf(klass);
  if (kind == domain::TaskKind::kPublish || retry == Retry::kNever || starts >= limits.max_starts) {
    return std::nullopt;
  }
  if (retry == Retry::kAtOnce) return Duration::zero();
  Duration pause = limits.first_pause;
  for (int i = 1; i < starts && pause < limits.longest_pause; ++i) pause *= 2;
  return std::min(pause, limits.longest_pause);
}

}  // namespace slipway::scheduler
