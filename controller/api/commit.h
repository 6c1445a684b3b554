#pragma once

#include <future>
#include <string>

#include "absl/status/statusor.h"
#include "controller/scheduler/events.h"

// What calls that change something through the scheduler have in common.
namespace slipway::api {

using Replied = std::promise<scheduler::Reply>;

// Waits for the commit, at most 30 s; kUnavailable then, and repeating the call is safe.
[[nodiscard]] absl::StatusOr<scheduler::Reply> Await(std::future<scheduler::Reply> reply);

// A reason that people gave, as the database takes it: at most 1 KiB of whole characters.
[[nodiscard]] std::string CutReason(const std::string& reason);

}  // namespace slipway::api
