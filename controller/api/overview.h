#pragma once

#include <string>
#include <vector>

#include "controller/catalog/repository_view.h"
#include "controller/domain/account.h"
#include "controller/domain/application.h"
#include "controller/scheduler/task_queue.h"
#include "controller/store/run_reader.h"
#include "slipway/v1/overview.pb.h"

// What one caller may see and do of one application, as a client draws it. Pure.
namespace slipway::api {

// A target that the caller may hand products to.
struct OfferedTarget {
  std::string name;
  std::string platform;
  std::string environment;
  scheduler::Labels requirements;
  // A submit that names none means it.
  bool is_default = false;
};

// Everything that it is made of.
struct OverviewParts {
  const domain::Application& application;
  // What the caller holds, in some environment at least.
  domain::Operations allowed;
  // By name.
  std::vector<OfferedTarget> publishes_to;
  std::vector<OfferedTarget> previews_on;
  // Environments in which it holds approve and deploy.
  std::vector<std::string> approves_in;
  std::vector<std::string> deploys_in;
  catalog::Knowledge known;
  // Labels of each agent that takes work.
  const std::vector<scheduler::Labels>& agents;
  std::size_t versions = 10;
};

// Without what is built, which is asked for of all applications at once: AddBuilt.
[[nodiscard]] v1::ApplicationOverview DescribeForCaller(const OverviewParts& parts);

void AddBuilt(const store::BuiltCommit& built, v1::ApplicationOverview& overview);

}  // namespace slipway::api
