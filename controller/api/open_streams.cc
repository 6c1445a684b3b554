#include "controller/api/open_streams.h"

#include <utility>

#include "common/status/status.h"

namespace slipway::api {

std::shared_ptr<void> OpenStreams::Add(End end) {
  const std::lock_guard lock(mu_);
  if (ended_) return nullptr;
  const std::uint64_t id = ++last_;
  streams_.emplace(id, std::move(end));
  return {this, [this, id](void*) {
            const std::lock_guard removing(mu_);
            streams_.erase(id);
          }};
}

void OpenStreams::EndAll() {
  std::map<std::uint64_t, End> streams;
  {
    const std::lock_guard lock(mu_);
    ended_ = true;
    streams.swap(streams_);
  }
  for (const auto& [id, end] : streams) end(Stopping());
}

absl::Status OpenStreams::Stopping() {
  return MakeError(absl::StatusCode::kUnavailable, "STOPPING", "the controller is stopping",
                   "Ask again in a moment.");
}

}  // namespace slipway::api
