#pragma once

#include <optional>
#include <string>

#include "common/status/status.h"
#include "tests/support/in_memory_state.h"

namespace slipway::testing {

// True: the request has created this before. kAlreadyExists REQUEST_ID_REUSED: something else.
inline absl::StatusOr<bool> ClaimRequest(InMemoryDatabase::State& state, const store::Cause& cause,
                                         const std::string& key, const std::string& contents) {
  if (cause.request_id.empty()) return false;
  const auto [it, inserted] =
      state.creations.try_emplace({cause.actor, cause.request_id}, key, contents);
  if (inserted) return false;
  if (it->second == std::pair(key, contents)) return true;
  return MakeError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
                   "the request id '" + cause.request_id + "' was used for " + it->second.first);
}

inline absl::Status CheckRevision(std::optional<std::int64_t> seen, std::int64_t stored) {
  if (!seen || *seen == stored) return absl::OkStatus();
  return MakeError(absl::StatusCode::kAborted, "ETAG_MISMATCH", "was changed since it was read");
}

}  // namespace slipway::testing
