#include <algorithm>
#include <charconv>
#include <limits>

#include "common/status/status.h"
#include "tests/support/in_memory_creation.h"
#include "tests/support/in_memory_state.h"

namespace slipway::testing {
namespace {

absl::Status NoSuch(const std::string& what, const std::string& reason = "") {
  return MakeError(absl::StatusCode::kNotFound, reason, "there is no " + what);
}

absl::StatusOr<std::size_t> ParsePageToken(const std::string& token) {
  if (token.empty()) return std::numeric_limits<std::size_t>::max();
  std::size_t below = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), below);
  if (error != std::errc() || end != token.data() + token.size() || below == 0) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_PAGE_TOKEN", "not a page token");
  }
  return below;
}

absl::Status CheckPageSize(int size) {
  if (size >= 1 && size <= 1000) return absl::OkStatus();
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_PAGE_SIZE", "1 to 1000 rows");
}

}  // namespace

absl::StatusOr<store::TaskWithRun> InMemoryRunReader::GetTask(const TaskId& id) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.tables.tasks.find(id);
  if (it == state_.tables.tasks.end()) return NoSuch("task '" + id.value() + "'", "NO_SUCH_TASK");
  return store::TaskWithRun{it->second, state_.tables.runs.at(it->second.run)};
}

absl::StatusOr<store::PlatformImage> InMemoryRunReader::ImageOf(const TaskId& id) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.tables.images.find(id);
  if (it == state_.tables.images.end()) return NoSuch("image of '" + id.value() + "'", "NO_CODE");
  return it->second;
}

absl::StatusOr<std::string> InMemoryRunReader::ScriptOf(const RunId& id) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.tables.runs.find(id);
  if (it == state_.tables.runs.end() || it->second.script_name.empty()) {
    return NoSuch("run '" + id.value() + "'", "NO_SUCH_RUN");
  }
  return it->second.script;
}

absl::StatusOr<domain::Run> InMemoryRunReader::GetRun(const RunId& id) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.tables.runs.find(id);
  if (it == state_.tables.runs.end()) return NoSuch("run '" + id.value() + "'", "NO_SUCH_RUN");
  return it->second;
}

absl::StatusOr<std::vector<domain::Task>> InMemoryRunReader::TasksOfRun(const RunId& id) {
  SLIPWAY_RETURN_IF_ERROR(GetRun(id).status());
  const std::lock_guard lock(state_.mu);
  std::vector<domain::Task> tasks;
  for (const TaskId& task : state_.tables.task_order) {
    if (state_.tables.tasks.at(task).run == id) tasks.push_back(state_.tables.tasks.at(task));
  }
  std::stable_partition(tasks.begin(), tasks.end(),
                        [](const domain::Task& task) { return task.depends_on.value().empty(); });
  return tasks;
}

absl::StatusOr<store::TaskPage> InMemoryRunReader::ListTasks(const store::TaskFilter& filter) {
  SLIPWAY_RETURN_IF_ERROR(CheckPageSize(filter.page_size));
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t below, ParsePageToken(filter.page_token));
  const std::lock_guard lock(state_.mu);
  store::TaskPage page;
  if (filter.viewer.account) return page;  // nothing was granted to anybody here
  std::size_t last = 0;
  for (std::size_t i = std::min(state_.tables.task_order.size(), below - 1); i > 0; --i) {
    const domain::Task& task = state_.tables.tasks.at(state_.tables.task_order[i - 1]);
    if ((filter.run && task.run != *filter.run) ||
        (filter.application && task.application != *filter.application) ||
        (!filter.states.empty() && std::find(filter.states.begin(), filter.states.end(),
                                             task.state) == filter.states.end())) {
      continue;
    }
    if (page.tasks.size() == static_cast<std::size_t>(filter.page_size)) {
      page.next_page_token = std::to_string(last);
      break;
    }
    page.tasks.push_back({task, state_.tables.runs.at(task.run)});
    last = i;
  }
  return page;
}

absl::StatusOr<std::vector<domain::Step>> InMemoryRunReader::ListSteps(const TaskId& id) {
  SLIPWAY_RETURN_IF_ERROR(GetTask(id).status());
  const std::lock_guard lock(state_.mu);
  std::vector<domain::Step> steps;
  for (const auto& [key, step] : state_.tables.steps) {
    if (std::get<0>(key) == id) steps.push_back(step);
  }
  return steps;
}

absl::StatusOr<domain::Release> InMemoryRunReader::GetRelease(const ReleaseId& id) {
  const std::lock_guard lock(state_.mu);
  for (const domain::Release& release : state_.tables.releases) {
    if (release.id == id) return release;
  }
  return NoSuch("release '" + id.value() + "'", "NO_SUCH_PRODUCT");
}

absl::StatusOr<domain::Resolution> InMemoryRunReader::ResolutionOf(const TaskId& publish_task) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.tables.resolutions.find(publish_task);
  if (it == state_.tables.resolutions.end()) {
    return NoSuch("resolution of the task '" + publish_task.value() + "'", "NO_SUCH_TASK");
  }
  return it->second.second;
}

absl::StatusOr<std::map<TaskId, domain::Resolution>> InMemoryRunReader::ResolutionsOf(
    const std::vector<TaskId>& publish_tasks) {
  const std::lock_guard lock(state_.mu);
  std::map<TaskId, domain::Resolution> found;
  for (const TaskId& task : publish_tasks) {
    const auto it = state_.tables.resolutions.find(task);
    if (it != state_.tables.resolutions.end()) found.emplace(task, it->second.second);
  }
  return found;
}

absl::StatusOr<domain::Release> InMemoryRunReader::ReleaseOfTask(const TaskId& publish_task) {
  const std::lock_guard lock(state_.mu);
  for (const domain::Release& release : state_.tables.releases) {
    if (release.publish_task == publish_task) return release;
  }
  return NoSuch("release by the task '" + publish_task.value() + "'", "NO_SUCH_PRODUCT");
}

absl::StatusOr<domain::Release> InMemoryRunReader::ReleaseOfBuild(const TaskId& build) {
  const std::lock_guard lock(state_.mu);
  const auto& releases = state_.tables.releases;
  for (auto it = releases.rbegin(); it != releases.rend(); ++it) {
    if (it->build_task == build) return *it;
  }
  return NoSuch("release of the build '" + build.value() + "'", "NO_SUCH_PRODUCT");
}

absl::StatusOr<store::ReleasePage> InMemoryRunReader::ListReleases(
    const store::ReleaseFilter& filter) {
  SLIPWAY_RETURN_IF_ERROR(CheckPageSize(filter.page_size));
  SLIPWAY_ASSIGN_OR_RETURN(const std::size_t below, ParsePageToken(filter.page_token));
  const std::lock_guard lock(state_.mu);
  store::ReleasePage page;
  if (filter.viewer.account) return page;
  std::size_t last = 0;
  for (std::size_t i = std::min(state_.tables.releases.size(), below - 1); i > 0; --i) {
    const domain::Release& release = state_.tables.releases[i - 1];
    if ((filter.application && release.application != *filter.application) ||
        (!filter.platform.empty() && release.platform != filter.platform)) {
      continue;
    }
    if (page.releases.size() == static_cast<std::size_t>(filter.page_size)) {
      page.next_page_token = std::to_string(last);
      break;
    }
    page.releases.push_back(release);
    last = i;
  }
  return page;
}

absl::StatusOr<std::vector<store::BuiltCommit>> InMemoryRunReader::BuiltOf(
    const store::Viewer& viewer, const std::vector<store::CommitOfApplication>& commits) {
  const std::lock_guard lock(state_.mu);
  std::map<std::tuple<ApplicationId, std::string, std::string>, store::BuiltCommit> newest;
  if (viewer.account) return std::vector<store::BuiltCommit>();
  for (const TaskId& id : state_.tables.task_order) {
    const domain::Task& task = state_.tables.tasks.at(id);
    if (task.kind != domain::TaskKind::kBuild || task.state != domain::TaskState::kSucceeded ||
        !task.result || !task.result->build) {
      continue;
    }
    const std::string& commit = task.result->build->commit;
    const bool wanted = std::any_of(commits.begin(), commits.end(), [&](const auto& one) {
      return one.application == task.application && one.commit == commit;
    });
    const bool visible = viewer.only.empty() || std::find(viewer.only.begin(), viewer.only.end(),
                                                          task.application) != viewer.only.end();
    if (!wanted || !visible) continue;
    const WallTime ended = task.finished_at;
    const auto [it, fresh] = newest.try_emplace({task.application, commit, task.platform});
    if (!fresh && it->second.built_at > ended) continue;
    it->second = {.application = task.application,
                  .commit = commit,
                  .platform = task.platform,
                  .task = task.id,
                  .run = task.run,
                  .version = task.result->build->version,
                  .built_at = ended};
  }
  std::vector<store::BuiltCommit> built;
  for (auto& [key, one] : newest) built.push_back(std::move(one));
  return built;
}

absl::StatusOr<domain::Application> InMemoryApplicationStore::Create(
    const domain::Application& application, const store::Cause& cause) {
  const std::lock_guard lock(state_.mu);
  if (application.description.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("a text cannot be stored");
  }
  std::string contents = application.repository + '\n' + application.description + '\n' +
                         std::to_string(application.queue_timeout.count());
  for (const auto& [key, value] : application.requirements) contents += '\n' + key + '=' + value;
  const auto there = state_.applications.find(application.name);
  const auto claims = state_.creations;
  SLIPWAY_ASSIGN_OR_RETURN(
      const bool made, ClaimRequest(state_, cause, "application " + application.name, contents));
  if (made) return there->second;
  if (there != state_.applications.end()) {
    state_.creations = claims;
    return MakeError(absl::StatusCode::kAlreadyExists, "APPLICATION_EXISTS",
                     "there is an application '" + application.name + "' already");
  }
  domain::Application& stored = state_.applications[application.name];
  stored = application;
  stored.revision = ++state_.last_revision;
  state_.tables.audit.push_back(application.name);
  return stored;
}

absl::StatusOr<domain::Application> InMemoryApplicationStore::Update(
    const std::string& name, const store::ApplicationChange& change, const store::Cause&) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.applications.find(name);
  if (it == state_.applications.end())
    return NoSuch("application '" + name + "'", "NO_SUCH_APPLICATION");
  domain::Application& application = it->second;
  SLIPWAY_RETURN_IF_ERROR(CheckRevision(change.revision, application.revision));
  application.description = change.description.value_or(application.description);
  application.requirements = change.requirements.value_or(application.requirements);
  application.queue_timeout = change.queue_timeout.value_or(application.queue_timeout);
  application.repository = change.repository.value_or(application.repository);
  application.revision = ++state_.last_revision;
  state_.tables.audit.push_back(name);
  return application;
}

absl::StatusOr<domain::Application> InMemoryApplicationStore::GetByName(const std::string& name) {
  const std::lock_guard lock(state_.mu);
  const auto it = state_.applications.find(name);
  if (it == state_.applications.end())
    return NoSuch("application '" + name + "'", "NO_SUCH_APPLICATION");
  return it->second;
}

absl::StatusOr<domain::Application> InMemoryApplicationStore::Get(const ApplicationId& id) {
  const std::lock_guard lock(state_.mu);
  for (const auto& [name, application] : state_.applications) {
    if (application.id == id) return application;
  }
  return NoSuch("application with the id '" + id.value() + "'", "NO_SUCH_APPLICATION");
}

absl::StatusOr<store::ApplicationPage> InMemoryApplicationStore::List(
    const store::ApplicationFilter& filter) {
  const std::lock_guard lock(state_.mu);
  store::ApplicationPage page;
  if (filter.viewer.account) return page;
  const auto& by_name = state_.applications;
  page.total = static_cast<std::int64_t>(by_name.size());
  for (auto it = by_name.upper_bound(filter.page_token); it != by_name.end(); ++it) {
    if (page.applications.size() == static_cast<std::size_t>(filter.page_size)) {
      page.next_page_token = page.applications.back().name;
      break;
    }
    page.applications.push_back(it->second);
  }
  return page;
}

absl::StatusOr<std::vector<domain::ImageOrder>> InMemoryImageOrderStore::Put(
    std::vector<domain::ImageOrder> orders, const store::Cause&) {
  const std::lock_guard lock(state_.mu);
  for (domain::ImageOrder& order : orders) {
    order.number = ++state_.last_image_order;
    state_.image_orders[{order.image, order.agent}] = order;
    state_.tables.audit.push_back(order.image);
  }
  return orders;
}

absl::StatusOr<int> InMemoryImageOrderStore::Remove(const std::string& image, const AgentId& agent,
                                                    const store::Cause&) {
  const std::lock_guard lock(state_.mu);
  const auto removed = std::erase_if(state_.image_orders, [&](const auto& entry) {
    return entry.first.first == image && (agent.value().empty() || entry.first.second == agent);
  });
  if (removed > 0) state_.tables.audit.push_back(image);
  return static_cast<int>(removed);
}

absl::StatusOr<std::vector<domain::ImageOrder>> InMemoryImageOrderStore::List() {
  const std::lock_guard lock(state_.mu);
  std::vector<domain::ImageOrder> orders;
  for (const auto& [key, order] : state_.image_orders) orders.push_back(order);
  return orders;
}

absl::StatusOr<FarmId> InMemoryFarmStore::GetOrCreateFarmId() {
  const std::lock_guard lock(state_.mu);
  if (state_.farm.value().empty()) state_.farm = FarmId(NewId("farm-"));
  return state_.farm;
}

}  // namespace slipway::testing
