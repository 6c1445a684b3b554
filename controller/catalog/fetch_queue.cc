#include "controller/catalog/fetch_queue.h"

#include <algorithm>
#include <utility>

#include "common/git/repository_url.h"

namespace slipway::catalog {
namespace {

// Beyond so many, some are forgotten, which costs a try.
constexpr std::size_t kMostTroubled = 1000;

std::string ServerOf(const Repository& repository) {
  const auto url = git::ParseRepositoryUrl(repository.url, {"https", "http", "ssh", "git", "file"});
  return url.ok() ? url->Origin() : repository.url;
}

}  // namespace

void FetchQueue::Push(const Repository& repository) {
  waiting_.push_back({repository, ServerOf(repository)});
}

bool FetchQueue::MayRun(const std::string& server) const {
  const auto own = running_.find(server);
  if (own != running_.end() && max_fetches_ > 1 && own->second + 1 >= max_fetches_) return false;
  if (!troubled_.contains(server)) return true;
  return std::none_of(running_.begin(), running_.end(),
                      [&](const auto& one) { return troubled_.contains(one.first); });
}

std::optional<Repository> FetchQueue::Take() {
  const auto next = std::find_if(waiting_.begin(), waiting_.end(),
                                 [&](const Waiting& one) { return MayRun(one.server); });
  if (next == waiting_.end()) return std::nullopt;
  Repository repository = std::move(next->repository);
  ++running_[next->server];
  waiting_.erase(next);
  return repository;
}

void FetchQueue::Ended(const Repository& repository, const absl::Status& outcome) {
  const std::string server = ServerOf(repository);
  if (const auto own = running_.find(server); own != running_.end() && --own->second == 0) {
    running_.erase(own);
  }
  if (!absl::IsUnavailable(outcome) && !absl::IsDeadlineExceeded(outcome)) {
    troubled_.erase(server);
    return;
  }
  if (troubled_.size() >= kMostTroubled) troubled_.clear();
  troubled_.insert(server);
}

}  // namespace slipway::catalog
