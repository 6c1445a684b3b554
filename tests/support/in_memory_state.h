#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

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
  std::map<AgentId, domain::Agent> agents;
  std::map<TaskId, std::pair<Attempt, domain::Resolution>> resolutions;
  std::map<TaskId, store::PlatformImage> images;
  std::vector<std::string> audit;
};

// By platform and name.
using Targets = std::map<std::pair<std::string, std::string>, domain::Target>;

struct InMemoryDatabase::State {
  // Guards everything else. Not absl::Mutex, which the thread sanitizer does not see.
  mutable std::mutex mu;
  std::int64_t epoch = 0;
  Tables tables;
  int failing_commits = 0;
  bool failing_commits_apply = false;
  std::map<std::string, domain::Application> applications;  // by name
  Targets targets;
  // Of channels, sealed.
  std::map<std::pair<std::string, std::string>, std::string> target_secrets;
  std::map<std::string, domain::Environment> environments;
  std::int64_t last_revision = 0;
  // By account and request id: what was created, by its key, and the wish as text.
  std::map<std::pair<std::string, std::string>, std::pair<std::string, std::string>> creations;
  std::map<std::string, domain::JoinToken> join_tokens;
  std::map<std::pair<std::string, AgentId>, domain::ImageOrder> image_orders;
  std::uint64_t last_image_order = 0;
  // About it, and sealed.
  std::map<ApplicationId, std::pair<domain::RepositoryCredential, std::string>>
      repository_credentials;
  FarmId farm;
};

}  // namespace slipway::testing
