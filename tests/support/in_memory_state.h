#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/in_memory_store.h"

namespace slipway::testing {

// What scheduling writes.
struct Tables {
  std::map<RunId, domain::Run> runs;
  std::map<std::pair<std::string, std::string>, RunId> requests;
  // In the order of creation.
  std::vector<TaskId> task_order;
  std::map<TaskId, domain::Task> tasks;
  std::map<std::tuple<TaskId, Attempt, std::uint32_t>, domain::Step> steps;
  std::map<TaskId, domain::PublishPermit> permits;
  std::vector<domain::Release> releases;
  std::map<TaskId, std::pair<Attempt, domain::Resolution>> resolutions;
  std::vector<std::string> audit;
};

struct InMemoryDatabase::State {
  mutable absl::Mutex mu;
  std::int64_t epoch ABSL_GUARDED_BY(mu) = 0;
  Tables tables ABSL_GUARDED_BY(mu);
  int failing_commits ABSL_GUARDED_BY(mu) = 0;
  bool failing_commits_apply ABSL_GUARDED_BY(mu) = false;
  std::map<std::string, domain::Application> applications ABSL_GUARDED_BY(mu);  // by name
  std::map<AgentId, domain::Agent> agents ABSL_GUARDED_BY(mu);
  std::map<std::string, std::pair<domain::JoinToken, bool>> join_tokens ABSL_GUARDED_BY(mu);
  std::map<std::string, domain::Account> api_tokens ABSL_GUARDED_BY(mu);
  std::map<std::pair<std::string, AgentId>, domain::ImageOrder> image_orders ABSL_GUARDED_BY(mu);
  std::uint64_t last_image_order ABSL_GUARDED_BY(mu) = 0;
  FarmId farm ABSL_GUARDED_BY(mu);
};

}  // namespace slipway::testing
