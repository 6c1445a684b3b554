#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "controller/catalog/repository_view.h"

namespace slipway::catalog {

// Which repository is fetched next, so that a server that does not answer keeps no other's
// repositories back: where several fetches may run at once, one server never has all of them, and
// all servers whose newest fetch did not get through have one together. Otherwise first come, first
// served. Thread-compatible.
class FetchQueue {
 public:
  // At once, of all servers.
  explicit FetchQueue(int max_fetches) : max_fetches_(static_cast<std::size_t>(max_fetches)) {}

  // REQUIRES: it does not wait already.
  void Push(const Repository& repository);
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

  // It is being fetched from now on. nullopt: nothing may be, before a running fetch has ended.
  [[nodiscard]] std::optional<Repository> Take();
  // What Take returned is fetched, with this outcome.
  void Ended(const Repository& repository, const absl::Status& outcome);

 private:
  struct Waiting {
    Repository repository;
    std::string server;
  };
  [[nodiscard]] bool MayRun(const std::string& server) const;

  const std::size_t max_fetches_;
  std::deque<Waiting> waiting_;
  // Running fetches by server.
  std::map<std::string, std::size_t> running_;
  // Servers whose newest fetch did not get through.
  std::set<std::string> troubled_;
};

}  // namespace slipway::catalog
