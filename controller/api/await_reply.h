#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "common/status/status.h"
#include "controller/scheduler/scheduler.h"

namespace slipway::api {

// What is committed later than this is answered kUnavailable; repeating the call is safe.
inline constexpr auto kCommitPatience = std::chrono::seconds(30);

[[nodiscard]] inline absl::Status NoReply() {
  return MakeError(absl::StatusCode::kUnavailable, "COMMIT_IN_DOUBT",
                   "the database has not answered yet",
                   "Ask again; with the same request id nothing happens twice.");
}

// The scheduler's answer to something that a caller asks for: `ask` is given the callback to hand
// on. kUnavailable, COMMIT_IN_DOUBT: there was none in time. Blocks.
template <typename AskScheduler>
absl::StatusOr<scheduler::Reply> AwaitReply(AskScheduler ask) {
  auto replied = std::make_shared<std::promise<scheduler::Reply>>();
  auto answer = replied->get_future();
  ask([replied](const scheduler::Reply& reply) { replied->set_value(reply); });
  if (answer.wait_for(kCommitPatience) != std::future_status::ready) return NoReply();
  return answer.get();
}

}  // namespace slipway::api
