#include "controller/api/commit.h"

#include <chrono>

#include "common/status/status.h"
#include "controller/agent_gateway/text.h"

namespace slipway::api {
namespace {

constexpr auto kCommitPatience = std::chrono::seconds(30);
constexpr std::size_t kMaxReason = 1024;

}  // namespace

absl::StatusOr<scheduler::Reply> Await(std::future<scheduler::Reply> reply) {
  if (reply.wait_for(kCommitPatience) != std::future_status::ready) {
    return MakeError(absl::StatusCode::kUnavailable, "COMMIT_IN_DOUBT",
                     "the database has not answered yet",
                     "Ask again; with the same request id nothing happens twice.");
  }
  return reply.get();
}

std::string CutReason(const std::string& reason) {
  return agent_gateway::StorableText(reason, kMaxReason);
}

}  // namespace slipway::api
